"""The pages of refused requests: a list, one request with its faults, and the replay of one or many."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.console.masking import MASK, mask
from gateway.console.pages import HtmlPage, PageError, PageResult, Visit
from gateway.core.faults import CATALOG, Fault
from gateway.core.pointer import split_pointer, value_at
from gateway.core.refused_requests import RefusedFilter, RefusedRequest
from gateway.service.mending import InvalidMend
from gateway.service.replays import NotReplayable, faults_in_body

PAGE = 50
STATES: Mapping[str, bool | None] = {"": None, "waiting": False, "replayed": True}


class ReplayOutcome(Struct, frozen=True):
    """What came of a replay. `status` is 0 where the request was not sent."""

    id: str
    is_accepted: bool
    status: int = 0
    text: str = ""


async def list_refused(visit: Visit) -> PageResult:
    """Return the refused requests that the query selects, the newest first."""
    return await _list_page(visit, ())


async def replay_refused(visit: Visit) -> PageResult:
    """Replay the chosen requests as they are."""
    outcomes = [await _replay(visit, await _find(visit, id), None) for id in visit.form.all("id")]
    if not outcomes:
        raise PageError(400, "No request is chosen.")
    return await _list_page(visit, outcomes)


async def show_refused(visit: Visit) -> PageResult:
    """Return one refused request."""
    return _request_page(visit, await _find(visit, visit.form.text("id")), None)


async def mend_refused(visit: Visit) -> PageResult:
    """Replay one request with the body of the form, if the session may see bodies."""
    request = await _find(visit, visit.form.text("id"))
    body = visit.form.raw("body") if visit.may_read and "body" in visit.form.values else None
    outcome = await _replay(visit, request, body)
    return _request_page(visit, await _find(visit, request.id), outcome, body)


async def _list_page(visit: Visit, outcomes: Sequence[ReplayOutcome]) -> HtmlPage:
    form = visit.form
    given = {name: form.text(name) for name in ("dialect", "fault", "request", "state", "before")}
    if given["state"] not in STATES or not (given["before"] == "" or _is_position(given["before"])):
        raise PageError(400, "There is no such page of the list.")
    filter = RefusedFilter(given["dialect"], given["fault"], given["request"], STATES[given["state"]])
    before = int(given["before"]) if given["before"] else None
    found = await visit.context.store.refused(visit.database.id, filter, before, PAGE + 1)
    values = {
        "is_kept": visit.context.keeps_refused,
        "given": given,
        "dialects": [each.name for each in visit.context.dialects],
        "rows": [_row(visit, each) for each in found[:PAGE]],
        "next": found[PAGE - 1].position if len(found) > PAGE else None,
        "outcomes": outcomes,
    }
    return HtmlPage("refused", values)


def _request_page(
    visit: Visit, request: RefusedRequest, outcome: ReplayOutcome | None, edited: str | None = None
) -> HtmlPage:
    tree = visit.context.replays.tree_of(request)
    text = _text(request.body)
    values = {
        "request": request,
        "token_name": _token_name(visit, request),
        "faults": [_fault(visit, each, tree) for each in faults_in_body(request, visit.context.dialects)],
        "may_read": visit.may_read,
        "text": text if edited is None else edited,
        "masked": MASK if tree is None else json.dumps(mask(tree), indent=2, ensure_ascii=False),
        "headers": request.headers,
        "outcome": outcome,
    }
    return HtmlPage("refused_request", values)


async def _replay(visit: Visit, request: RefusedRequest, body: str | None) -> ReplayOutcome:
    try:
        replay = await visit.context.replays.run(
            visit.context.pipeline, _with_body(request, body), require=visit.require
        )
    except (NotReplayable, InvalidMend) as reason:
        return ReplayOutcome(request.id, False, 0, str(reason))
    response = replay.response
    text = response.body.decode("utf-8", "replace") if visit.may_read else ""
    return ReplayOutcome(request.id, replay.is_accepted, response.status, text)


def _with_body(request: RefusedRequest, text: str | None) -> RefusedRequest:
    """Return the request with another body in UTF-8, or as it is. A form has other ends of lines than was sent."""
    if text is None or _lines(text) == _lines(_text(request.body) or ""):
        return request
    headers = dict(request.headers)
    if "content-type" in headers:
        headers["content-type"] = headers["content-type"].partition(";")[0].strip()
    return replace(request, body=_lines(text).encode(), headers=headers)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


async def _find(visit: Visit, id: str) -> RefusedRequest:
    found = await visit.context.store.refused_request(visit.database.id, id)
    if found is None:
        raise PageError(404, "There is no such refused request.")
    return found


def _row(visit: Visit, request: RefusedRequest) -> dict[str, Any]:
    first, *others = faults_in_body(request, visit.context.dialects)
    return {
        "id": request.id,
        "time": request.time,
        "call": request.call,
        "fault": first.code,
        "pointer": _pointer(visit, first),
        "others": len(others),
        "token": _token_name(visit, request),
        "replayed": request.replayed,
    }


def _fault(visit: Visit, fault: Fault, tree: Any) -> dict[str, Any]:
    value = value_at(tree, split_pointer(fault.pointer)) if fault.pointer else None
    return {
        "code": fault.code,
        "pointer": _pointer(visit, fault),
        "text": fault.text if visit.may_read else CATALOG[fault.code].text,
        "value": value if visit.may_read else mask(value),
    }


def _pointer(visit: Visit, fault: Fault) -> str:
    """Return the place of a fault, without the names that clients chose where values are masked."""
    if visit.may_read:
        return fault.pointer
    context = visit.context
    return context.catalog.grant_of_token(visit.token, context.dialects[0]).mask.mask(fault.pointer)


def _text(body: bytes) -> str | None:
    """Return a body as text; None where it is none."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _token_name(visit: Visit, request: RefusedRequest) -> str:
    token = visit.context.catalog.token_by_id(request.token)
    return (token.name if token else "") or request.token


def _is_position(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
