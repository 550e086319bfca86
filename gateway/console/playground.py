"""The playground: one request, step by step, first as a dry run, then for real."""

import io
import json
import re
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

from msgspec import Struct

from gateway.console.dry_runs import as_dry_run, dry_run_tree
from gateway.console.pages import File, HtmlPage, PageError, PageResult, Visit
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Command, Tree
from gateway.core.rights import READ
from gateway.dialects.protocol import CHANGE_STATUSES, COMMAND_TYPES, CONTENT_TYPES, Call, Dialect
from gateway.service.command_validation import validate_commands
from gateway.service.dry_run_parameter import DRY_RUN
from gateway.service.exchange import Exchange, variant_of
from gateway.service.http_messages import Message, Response

DRY, SEND, CASE = "dry", "send", "case"
ACTIONS = (DRY, SEND, CASE)
"""What the form's buttons do: a dry run, the request itself, and its case folder."""

MEDIA_TYPES = ("json", "xml")
NAME = re.compile(r"\{(\w+)\}")
RESERVED_HEADERS = ("authorization", "connection", "content-length", "content-type", "cookie", "host", "x-request-id")
DEFAULT_HEADERS = "revision: 2026-07-15"
EXAMPLE = '{"db_id": 1, "email": "ann@example.com", "data": {"_fname": "Ann"}}'
EXAMPLE_CALL = "altcraft POST /api/v1.1/profiles/import"
MAX_FAULTS = 100


class RequestSteps(Struct, frozen=True):
    """What the gateway makes of a request before it runs: each part is None where an earlier one failed."""

    tree: Tree = None
    commands: Sequence[Command | None] = ()
    faults: Sequence[Fault] = ()


async def show_playground(visit: Visit) -> PageResult:
    """Return the form, with an example."""
    return _page(visit, {"call": EXAMPLE_CALL, "media": "json", "headers": DEFAULT_HEADERS, "body": EXAMPLE})


async def run_playground(visit: Visit) -> PageResult:
    """Carry out the request of the form, as its button says."""
    form, action = visit.form, visit.form.text("action")
    if action not in ACTIONS:
        raise PageError(400, f"The action must be one of {', '.join(ACTIONS)}.")
    dialect, call = _find_call(visit, form.text("call"))
    message, media = _message(visit, call), form.text("media")
    call = variant_of(dialect, call, message, visit.context.bounds, visit.context.now())
    sent = _request_to_send(call, message, action, media)
    respond, response, outcome = visit.context.pipeline.respond, None, None
    if sent is not None:
        response = await respond(dialect, call, sent)
    if action == CASE:
        if sent is None or response is None:
            raise PageError(400, "This call has no dry run, so there is no reply to save.")
        return File("case.zip", "application/zip", case_folder(call, sent, response, media))
    if DRY_RUN in (sent.query if sent else ()):
        outcome = dry_run_tree(await respond(dialect, call, as_dry_run(message, "json")))
    given = {name: form.raw(name) for name in ("call", "names", "query", "headers", "media", "body")}
    results = {
        "is_sent": action == SEND,
        "can_send": action == DRY and call.right != READ,
        "explanation": _explain(visit, dialect, call, message),
        "outcome": outcome,
        "response": response,
        "reply": response.body.decode("utf-8", "replace") if response else "",
        "curl": curl_command(message),
    }
    return _page(visit, given, results)


def _request_to_send(call: Call, message: Message, action: str, media: str) -> Message | None:
    """Return the request itself, its dry run, or None where the call has none."""
    if action == SEND or call.right == READ:
        return message
    if call.operation == CHANGE_STATUSES or call.is_public:
        return None
    return as_dry_run(message, media)


def _page(visit: Visit, given: Mapping[str, str], results: Mapping[str, Any] | None = None) -> HtmlPage:
    calls = {
        dialect.name: [f"{call.method} {call.path}" for call in dialect.calls] for dialect in visit.context.dialects
    }
    defaults = {"names": "", "query": "", "headers": "", "media": "json"}
    values = {"calls": calls, "given": {**defaults, **given}, "database": visit.database, "results": results}
    return HtmlPage("playground", values)


def _find_call(visit: Visit, text: str) -> tuple[Dialect, Call]:
    for dialect in visit.context.dialects:
        for call in dialect.calls:
            if text == f"{dialect.name} {call.method} {call.path}":
                return dialect, call
    raise PageError(400, "There is no such call.")


def _message(visit: Visit, call: Call) -> Message:
    """Return the request of the form, with the session's token in place of a credential. Raises `PageError`."""
    form = visit.form
    names, media = _pairs(form.raw("names"), "=", "value of the path"), form.text("media")
    if media not in MEDIA_TYPES:
        raise PageError(400, f"The media type must be one of {', '.join(MEDIA_TYPES)}.")
    missing = [name for name in NAME.findall(call.path) if not names.get(name)]
    if missing:
        raise PageError(400, f"The path of this call needs a value of {', '.join(missing)}.")
    path = call.path.format(**{name: quote(value, "") for name, value in names.items()})
    query = form.text("query").removeprefix("?")
    own = {name.lower(): value for name, value in _pairs(form.raw("headers"), ":", "header").items()}
    if reserved := [name for name in own if name in RESERVED_HEADERS]:
        raise PageError(400, f"The header {reserved[0]} is set by the playground.")
    body = form.raw("body").strip().encode()
    content_type = {"content-type": CONTENT_TYPES[media]} if body else {}
    return Message(
        call.method,
        {**content_type, "accept": CONTENT_TYPES[media], **own},
        body,
        dict(parse_qsl(query, keep_blank_values=True)),
        names,
        f"{path}?{query}" if query else path,
        visit.message.id,
        visit.message.base,
        visit.token,
    )


def _pairs(text: str, separator: str, what: str) -> dict[str, str]:
    pairs = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, found, value = line.partition(separator)
        if not found or not name.strip():
            raise PageError(400, f"Each {what} must be on a line of its own, as name{separator}value.")
        pairs[name.strip()] = value.strip()
    return pairs


def _explain(visit: Visit, dialect: Dialect, call: Call, message: Message) -> RequestSteps:
    """Return the tree, the canonical commands and the faults of a request."""
    context, tree = visit.context, None
    type, schema = COMMAND_TYPES[call.operation], context.catalog.grant_of_token(visit.token, dialect).schema
    exchange = Exchange(dialect, message, call)
    try:
        request = exchange.decode(call, context.bounds, context.now())
        tree = request.tree
        parsed = call.parse(request)
        found = validate_commands(schema, parsed.commands, type, request.is_typed, bool(exchange.unrepresentable))
    except Refusal as refusal:
        return RequestSteps(tree, (), refusal.faults[:MAX_FAULTS])
    faults = [fault for each in found if isinstance(each, Refusal) for fault in each.faults]
    return RequestSteps(tree, [None if isinstance(each, Refusal) else each for each in found], faults[:MAX_FAULTS])


def curl_command(message: Message) -> str:
    """Return a command line that sends a request, with `$TOKEN` for the token."""
    parts = ["curl", "-X", message.method, shlex.quote(f"{message.base}{message.target}")]
    parts += ["-H", '"Authorization: Bearer $TOKEN"']
    for name, value in message.headers.items():
        parts += ["-H", shlex.quote(f"{name}: {value}")]
    if message.body:
        parts += ["--data-binary", shlex.quote(message.body.decode())]
    return " ".join(parts)


def case_folder(call: Call, message: Message, response: Response, media: str) -> bytes:
    """Return a case folder as a ZIP file: the request, and the reply that it got. The token is a placeholder."""
    headers = {"authorization": "Bearer TOKEN", **message.headers}
    case = {
        "description": f"{call.method} {call.path}, from the playground of the console.",
        "method": message.method,
        "path": message.target,
        "headers": headers,
        "status": response.status,
        "media": media,
    }
    reply = "xml" if "xml" in response.headers.get("content-type", "") else "json"
    if reply != media:
        case["reply"] = reply
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("case/case.json", json.dumps(case, indent=2, ensure_ascii=False) + "\n")
        if message.body:
            archive.writestr(f"case/request.{media}", message.body)
        archive.writestr(f"case/response.{reply}", response.body)
    return file.getvalue()
