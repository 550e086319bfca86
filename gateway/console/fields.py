"""The page of the fields: what another declaration would make of the stored profiles. The command line changes it."""

import json
from dataclasses import replace
from typing import Any

from gateway.console.pages import HtmlPage, PageError, PageResult, Visit
from gateway.core.faults import Refusal
from gateway.core.model import READ
from gateway.media.json import decode
from gateway.schema.field_declarations import parse_fields
from gateway.service.database_update import find_conflicts

MAX_PROFILES = 10_000
"""Profiles that a preview looks at. The command line looks at all."""

UNDECLARED = {"accept": False, "reject": True}
"""By word of the form: whether undeclared fields are rejected."""


async def show_fields(visit: Visit) -> PageResult:
    """Return the form with the present declaration."""
    database = visit.database
    text = json.dumps(database.fields or {"properties": {}}, indent=2, ensure_ascii=False)
    return _page(visit, text, "reject" if database.closed else "accept")


async def preview_fields(visit: Visit) -> PageResult:
    """Return which stored profiles the declaration of the form would make invalid, or equal by a new identifier."""
    visit.require(READ)
    text, undeclared = visit.form.raw("fields"), visit.form.text("undeclared")
    if undeclared not in UNDECLARED:
        raise PageError(400, f"Undeclared fields must be one of {', '.join(UNDECLARED)}.")
    reserved = {name for dialect in visit.context.dialects for name in dialect.reserved_names}
    try:
        fields = parse_fields(decode(text.encode()), reserved)
    except Refusal as refusal:
        return _page(visit, text, undeclared, problems=[refusal.faults[0].text])
    except ValueError as reason:
        return _page(visit, text, undeclared, problems=str(reason).splitlines())
    after = replace(visit.database, fields=fields, closed=UNDECLARED[undeclared])
    conflicts = await find_conflicts(visit.context.store, visit.database, after, MAX_PROFILES)
    examples = [each.partition(": ") for each in conflicts.examples]
    return _page(visit, text, undeclared, conflicts=conflicts, examples=[(id, places) for id, _, places in examples])


def _page(visit: Visit, text: str, undeclared: str, **found: Any) -> HtmlPage:
    values = {"problems": (), "conflicts": None, "examples": (), "max_profiles": MAX_PROFILES, **found}
    status = 400 if values["problems"] else 200
    return HtmlPage("fields", {"database": visit.database, "text": text, "undeclared": undeclared, **values}, status)
