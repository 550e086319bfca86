"""The merge of a person with another profile, and the undo of a merge: each is previewed before it happens.

A merge is Altcraft's call with the token of the session; an undo is that of the gateway's own API.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from gateway.console.dry_runs import as_dry_run, dry_run_tree
from gateway.console.masking import masked_patch
from gateway.console.pages import HtmlPage, PageError, PageResult, Redirection, Visit
from gateway.console.people import find_profiles, profile_rows
from gateway.core.dry_run import patch_of
from gateway.core.faults import CATALOG, Fault, Refusal
from gateway.core.model import Profile, Token, Write
from gateway.core.rights import DELETE, READ, WRITE
from gateway.dialects.protocol import CONTENT_TYPES, Call, Dialect
from gateway.feed.history import find_profile
from gateway.service.http_messages import Message, Response
from gateway.service.undo import Undo

MERGE = "/api/v1.1/profiles/merge"
OPTIONS = ("remove_source", "static_segments")
"""The parameters of the call that the form has."""

FIND, PREVIEW, CARRY_OUT = "find", "preview", "merge"
ACTIONS = (FIND, PREVIEW, CARRY_OUT)
"""What the form's buttons do."""


class ProfilePreview(Struct, frozen=True):
    """What would become of one profile: `effect` is a word for people, `patch` a JSON Patch of its document."""

    id: str | None
    effect: str
    patch: Sequence[Mapping[str, Any]]


class FaultView(Struct, frozen=True):
    """Why something is refused. `profile` is the id of another profile that is the reason, "" if none is."""

    code: str
    text: str
    profile: str


async def show_merge(visit: Visit) -> PageResult:
    """Return the form that finds the other profile."""
    profile = await _destination(visit)
    return HtmlPage("merge", {**_form_values(visit, profile), "chosen": dict.fromkeys(OPTIONS, True)})


async def merge(visit: Visit) -> PageResult:
    """Find the other profile, preview the merge, or carry it out, as the button of the form says."""
    profile, action = await _destination(visit), visit.form.text("action")
    if action not in ACTIONS:
        raise PageError(400, f"The action must be one of {', '.join(ACTIONS)}.")
    values = _form_values(visit, profile)
    if action == FIND:
        found = [each for each in await find_profiles(visit, values["q"]) if each.id != profile.id]
        chosen = dict.fromkeys(OPTIONS, True)
        return HtmlPage("merge", {**values, "rows": profile_rows(visit, found), "chosen": chosen})
    source = await find_profile(visit.context.store, visit.database.id, values["source"])
    if source is None:
        raise PageError(400, "Choose the other profile first.")
    values["rows"] = profile_rows(visit, [source])
    if action == PREVIEW:
        return await _preview(visit, values, profile, source)
    response = await _respond(visit, _message(visit, profile, source, visit.token))
    if response.status == 200:
        return _person(profile.id)
    return HtmlPage("merge", {**values, "refusal": _refusal_text(visit, response)}, response.status)


async def show_undo(visit: Visit) -> PageResult:
    """Return what the undo of a merge would do, or why it is refused."""
    visit.require(DELETE)
    merge = visit.form.text("merge")
    try:
        result = await _undo(visit).preview(merge, visit.origin())
    except Refusal as refusal:
        return _refused_undo(visit, merge, refusal)
    return HtmlPage("undo", {"merge": merge, "changes": [_write(visit, each) for each in result.writes], "faults": []})


async def undo(visit: Visit) -> PageResult:
    """Undo a merge, and return to its destination."""
    visit.require(DELETE)
    merge = visit.form.text("merge")
    try:
        undone = await _undo(visit).run(merge, visit.origin(), None)
    except Refusal as refusal:
        return _refused_undo(visit, merge, refusal)
    return _person(undone.entry.profile)


def _undo(visit: Visit) -> Undo:
    context, database = visit.context, visit.database.id
    patches = {each.name: each.resolve_patch for each in context.dialects}
    return Undo(context.store, database, context.catalog.tables(database), patches)


def _refused_undo(visit: Visit, merge: str, refusal: Refusal) -> HtmlPage:
    faults = [_fault(visit, each) for each in refusal.faults]
    return HtmlPage("undo", {"merge": merge, "changes": [], "faults": faults}, refusal.faults[0].status)


async def _destination(visit: Visit) -> Profile:
    """Return the profile that remains. Raises `PageError`."""
    visit.require(WRITE)
    visit.require(DELETE)
    found = await find_profile(visit.context.store, visit.database.id, visit.form.text("id"))
    if found is None:
        raise PageError(404, "There is no such profile.")
    return found


def _form_values(visit: Visit, profile: Profile) -> dict[str, Any]:
    form = visit.form
    return {
        "id": profile.id,
        "q": form.text("q"),
        "source": form.text("source"),
        "chosen": {name: bool(form.text(name)) for name in OPTIONS},
        "rows": None,
        "changes": None,
        "faults": [],
        "refusal": "",
    }


async def _preview(visit: Visit, values: dict[str, Any], destination: Profile, source: Profile) -> HtmlPage:
    """Return the page with the outcome of a dry run, which shows values only where the session may see them."""
    token = replace(visit.token, rights=visit.token.rights | {READ})
    response = await _respond(visit, as_dry_run(_message(visit, destination, source, token), "json"))
    tree = dry_run_tree(response)
    if tree is None:
        return HtmlPage("merge", {**values, "refusal": _refusal_text(visit, response)}, response.status)
    [row] = tree["results"]
    changes = [_preview_of(visit, each["profile"], each["patch"]) for each in row["changes"]]
    faults = [Fault(each["name"], each["detail"], profile=each["profile"] or "") for each in row["faults"]]
    return HtmlPage("merge", {**values, "changes": changes, "faults": [_fault(visit, each) for each in faults]})


def _message(visit: Visit, destination: Profile, source: Profile, token: Token) -> Message:
    """Return the request of the merge."""
    body = {
        "db_id": visit.database.id,
        "matching": "profile_id",
        "destination": {"profile_id": destination.id},
        "source": [{"profile_id": source.id}],
        **{name: bool(visit.form.text(name)) for name in OPTIONS},
    }
    headers = {"content-type": CONTENT_TYPES["json"], "accept": CONTENT_TYPES["json"]}
    content, message = json.dumps(body).encode(), visit.message
    return Message("POST", headers, content, {}, {}, MERGE, message.id, message.base, token)


async def _respond(visit: Visit, message: Message) -> Response:
    return await visit.context.pipeline.respond(*_merge_call(visit.context.dialects), message)


def _merge_call(dialects: Sequence[Dialect]) -> tuple[Dialect, Call]:
    """Return Altcraft's call. Raises `PageError` where the gateway runs without it."""
    for dialect in dialects:
        for call in dialect.calls:
            if call.path == MERGE:
                return dialect, call
    raise PageError(404, "This gateway has no call that merges profiles.")


def _write(visit: Visit, write: Write) -> ProfilePreview:
    profile = write.after or write.before
    assert profile is not None
    return _preview_of(visit, profile.id, patch_of(write))


def _preview_of(visit: Visit, id: str | None, patch: Sequence[Mapping[str, Any]]) -> ProfilePreview:
    whole = next((each["op"] for each in patch if each["path"] == ""), "")
    effect = {"add": "returns", "remove": "is removed"}.get(whole, "changes" if patch else "stays as it is")
    return ProfilePreview(id, effect, patch if visit.may_read else masked_patch(patch))


def _fault(visit: Visit, fault: Fault) -> FaultView:
    return FaultView(fault.code, fault.text if visit.may_read else CATALOG[fault.code].text, fault.profile)


def _refusal_text(visit: Visit, response: Response) -> str:
    text = f"{response.status} {response.fault}".strip()
    return f"{text}: {response.body.decode('utf-8', 'replace')}" if visit.may_read else text


def _person(id: str) -> Redirection:
    return Redirection(f"person?{urlencode({'id': id})}")
