"""The page of the fields: a declaration is edited, previewed on the stored profiles, and then put into force."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from msgspec import Struct

from gateway.console.pages import HtmlPage, PageError, PageResult, Redirection, Visit
from gateway.core.faults import Refusal
from gateway.core.model import Database
from gateway.core.rights import DELETE, READ, WRITE
from gateway.media.json import decode
from gateway.schema.field_declarations import IDENTIFIER, parse_fields
from gateway.service.database_update import UpdateConflicts, changes_identifiers, find_conflicts, index_profiles

RIGHTS = frozenset({READ, WRITE, DELETE})
"""What a change of the declaration needs: it concerns all profiles of the database."""

MAX_PROFILES = 10_000
"""Profiles that a preview looks at, and a change gives their identifiers. The command line looks at all."""

UNDECLARED = {"accept": False, "reject": True}
"""By word of the form: whether undeclared fields are rejected."""

PREVIEW, DECLARE, REMOVE, CHANGE = "preview", "declare", "remove", "change"
ACTIONS = (PREVIEW, DECLARE, REMOVE, CHANGE)
"""What the form's buttons do: `declare` and `remove` put one field into the edited declaration, or out of it."""

TYPES: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "yes or no": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "date-time"},
    "list of texts": {"type": "array", "items": {"type": "string"}},
}
"""By word of the form, what declares a field. All else is edited as JSON."""


class Draft(Struct, frozen=True):
    """An edited declaration: the JSON Schema as text, and a word of `UNDECLARED`."""

    text: str
    undeclared: str


async def show_fields(visit: Visit) -> PageResult:
    """Return the form with the present declaration."""
    return _page(visit, _present(visit.database))


async def change_fields(visit: Visit) -> PageResult:
    """Edit, preview or change the declaration, as the button of the form says."""
    visit.require(READ)
    form = visit.form
    draft, action = Draft(form.raw("fields"), form.text("undeclared")), form.text("action") or PREVIEW
    if draft.undeclared not in UNDECLARED:
        raise PageError(400, f"Undeclared fields must be one of {', '.join(UNDECLARED)}.")
    if action not in ACTIONS:
        raise PageError(400, f"The action must be one of {', '.join(ACTIONS)}.")
    try:
        if action in (DECLARE, REMOVE):
            draft = Draft(_with_field(visit, draft.text, action), draft.undeclared)
        after = _parse(visit, draft)
    except Refusal as refusal:
        return _page(visit, draft, problems=[refusal.faults[0].text])
    except ValueError as reason:
        return _page(visit, draft, problems=str(reason).splitlines())
    conflicts = await find_conflicts(visit.context.store, visit.database, after, MAX_PROFILES)
    if action == CHANGE:
        return await _change(visit, draft, after, conflicts)
    return _preview_page(visit, draft, after, conflicts)


def _with_field(visit: Visit, text: str, action: str) -> str:
    """Return an edited declaration with the field of the form, or without it. Raises `Refusal` and `ValueError`."""
    form, tree = visit.form, decode(text.encode())
    properties = tree.get("properties") if isinstance(tree, dict) else None
    name, type = form.text("name"), form.text("type")
    if not isinstance(properties, dict):
        raise ValueError('$: expected a JSON Schema of an object, with "properties"')
    if not name or (action == REMOVE and name not in properties):
        raise ValueError(f"no field {name} is declared" if name else "the field has no name")
    if action == REMOVE:
        del properties[name]
    elif type in TYPES:
        properties[name] = {**TYPES[type], **({IDENTIFIER: True} if form.text("identifier") else {})}
    else:
        raise PageError(400, f"The type must be one of {', '.join(TYPES)}.")
    return _text(tree)


def _parse(visit: Visit, draft: Draft) -> Database:
    """Return the database with an edited declaration. Raises `Refusal` and `ValueError`."""
    reserved = {name for dialect in visit.context.dialects for name in dialect.reserved_names}
    fields = parse_fields(decode(draft.text.encode()), reserved)
    return replace(visit.database, fields=fields, closed=UNDECLARED[draft.undeclared])


async def _change(visit: Visit, draft: Draft, after: Database, conflicts: UpdateConflicts) -> PageResult:
    """Put a declaration into force that was previewed, and whose consequences were accepted if it has any."""
    for right in sorted(RIGHTS):
        visit.require(right)
    before, form = visit.database, visit.form
    if form.text("present") != fingerprint(before):
        raise PageError(409, "The declaration was changed since the preview. Load the page again, and preview yours.")
    if (_has_conflicts(conflicts) and not form.text("accepted")) or _needs_command(before, after, conflicts):
        return _preview_page(visit, draft, after, conflicts, status=409)
    await visit.context.store.update_database(after)
    if not _is_partial(conflicts):
        await index_profiles(visit.context.store, before, after)
    return Redirection("set-up")


def _has_conflicts(conflicts: UpdateConflicts) -> bool:
    return bool(conflicts.invalid or conflicts.duplicate) or _is_partial(conflicts)


def _is_partial(conflicts: UpdateConflicts) -> bool:
    """Return whether there may be profiles that were not looked at."""
    return conflicts.profiles >= MAX_PROFILES


def _needs_command(before: Database, after: Database, conflicts: UpdateConflicts) -> bool:
    """Return whether more profiles need other identifiers than a page can give them."""
    return _is_partial(conflicts) and changes_identifiers(before, after)


def _preview_page(
    visit: Visit, draft: Draft, after: Database, conflicts: UpdateConflicts, status: int = 200
) -> HtmlPage:
    examples = [each.partition(": ") for each in conflicts.examples]
    preview = {
        "conflicts": conflicts,
        "examples": [(id, places) for id, _, places in examples],
        "has_conflicts": _has_conflicts(conflicts),
        "is_partial": _is_partial(conflicts),
        "may_change": visit.token.rights >= RIGHTS and not _needs_command(visit.database, after, conflicts),
    }
    return _page(visit, draft, preview=preview, status=status)


def _page(
    visit: Visit, draft: Draft, problems: Any = (), preview: Mapping[str, Any] | None = None, status: int = 200
) -> HtmlPage:
    form, database = visit.form, visit.database
    values = {
        "database": database,
        "draft": draft,
        "present": fingerprint(database),
        "field": {"name": form.text("name"), "type": form.text("type"), "identifier": bool(form.text("identifier"))},
        "types": list(TYPES),
        "problems": problems,
        "preview": preview,
        "max_profiles": MAX_PROFILES,
    }
    return HtmlPage("fields", values, 400 if problems else status)


def _present(database: Database) -> Draft:
    return Draft(_text(database.fields or {"properties": {}}), "reject" if database.closed else "accept")


def fingerprint(database: Database) -> str:
    """Return what tells whether a declaration is still the one that was previewed."""
    present = _present(database)
    return sha256(f"{present.undeclared} {present.text}".encode()).hexdigest()


def _text(fields: Any) -> str:
    return json.dumps(fields, indent=2, ensure_ascii=False)
