"""Imports that start a trigger campaign or a workflow: `import_and_start` and `import_and_start_batch`.

The gateway has no campaigns: what is to be started is kept with the change, for the journal, the feed and relays.
Sources: https://guides.altcraft.com/en/developer-guide/trigger-campaigns/22708362 and
https://guides.altcraft.com/en/developer-guide/automation-scenarios/28934227.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.faults import Refusal, refuse
from gateway.dialects.altcraft.parameters import (
    is_blank,
    parse_integer,
    parse_parameters,
    present_members,
    require,
    require_list,
    require_object,
)
from gateway.dialects.altcraft.requests import CREATE, has_nested_data, parse_batch, parse_profile
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

MAX_BODY_BYTES = 10_485_760
"""Of a request with one profile: it may have attachments."""

ID_PARAMETERS = {"trigger": "trigger_id", "workflow": "workflow_id"}
"""By kind of what is started, the parameter that has its id."""

TIMEOUT_UNITS = ("days", "hours", "minutes")
MAX_ATTACHMENTS = 100


class _Start(Struct, frozen=True):
    """Reads what a request starts. `at` is the pointer of the object that it is read from."""

    is_typed: bool
    at: str = ""

    def read(self, kind: str, id: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is started in canonical form. Raises `Refusal`."""
        start: dict[str, Any] = {"kind": kind, "id": id}
        for name in ("timeout", "custom_data", "content"):
            if (value := parameters.get(name)) is not None and value != "":
                start[name] = require_object(value, f"{self.at}{name}", self.is_typed)
        if "timeout" in start:
            start["timeout"] = dict(self._timeout(start["timeout"]))
        if (files := parameters.get("attach")) is not None and not is_blank(files):
            start["attachments"] = list(self._attachments(require_list(files, f"{self.at}attach", self.is_typed)))
        return start

    def _timeout(self, units: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
        for name in TIMEOUT_UNITS:
            if (value := units.get(name)) is not None and not is_blank(value):
                number = parse_integer(value, f"{self.at}timeout/{name}", self.is_typed)
                if number < 0:
                    raise refuse("invalid_parameter", "it must not be negative", f"/{self.at}timeout/{name}")
                yield name, number

    def _attachments(self, files: list[Any]) -> Iterator[dict[str, Any]]:
        """Yield the name and the size of each file."""
        if len(files) > MAX_ATTACHMENTS:
            raise refuse("invalid_parameter", f"at most {MAX_ATTACHMENTS} files a request", f"/{self.at}attach")
        for index, each in enumerate(files):
            at = f"{self.at}attach/{index}"
            file = require_object(each, at, self.is_typed)
            for name in ("name", "data", "file_key", "mimetype"):
                if not isinstance(file.get(name, ""), str):
                    raise refuse("invalid_parameter", "it must be a string", f"/{at}/{name}")
            if not (name := file.get("name", "").strip()):
                raise refuse("missing_parameter", "it is missing", f"/{at}/name")
            texts = {name: file[name].strip() for name in ("file_key", "mimetype") if file.get(name)}
            yield {"name": name, "size": _size(file.get("data", ""), f"/{at}/data"), **texts}


def _size(data: str, pointer: str) -> int:
    """Return the bytes of a file in a data URL (RFC 2397). Raises `Refusal`: invalid_parameter."""
    head, comma, content = data.strip().partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        try:
            return len(b64decode("".join(content.split()), validate=True))
        except ValueError:
            pass
    raise refuse("invalid_parameter", "it must be a data URL in base64: data:…;base64,…", pointer)


def parse_start(kind: str, request: Request) -> ParsedRequest:
    """Parse `import_and_start`: an import, and what it starts."""
    parameters = parse_parameters(request)
    start = _Start(request.is_typed).read(kind, _id(kind, parameters, request.is_typed), parameters)
    parsed = parse_profile(request, rule=CREATE, search=True)
    return replace(parsed, commands=[_with_start(each, start) for each in parsed.commands])


def parse_start_batch(kind: str, request: Request) -> ParsedRequest:
    """Parse `import_and_start_batch`. An element is an object of fields, or has them in `data`, beside its own values.

    What an element has of its own replaces the parameters of the request.
    """
    parameters = parse_parameters(request)
    id = _id(kind, parameters, request.is_typed)
    elements = require_list(require(parameters, "data"), "data", request.is_typed)
    parsed = parse_batch(request, rule=CREATE, search=True, is_nested=True)
    commands = []
    for index, (element, command) in enumerate(zip(elements, parsed.commands, strict=True)):
        own, at = (element, f"data/{index}/") if has_nested_data(element, request.is_typed) else ({}, "")
        try:
            start = _Start(request.is_typed, at).read(kind, id, {**parameters, **own})
        except Refusal as refusal:
            commands.append(ParsedCommand(None, [*command.faults, *refusal.faults]))
        else:
            commands.append(_with_start(command, start))
    return replace(parsed, commands=commands)


def quick_starts(parameters: Mapping[str, Any], is_typed: bool) -> list[dict[str, Any]]:
    """Return what a quick import starts: both, a trigger campaign and a workflow, or either. Raises `Refusal`."""
    present = present_members(parameters, ID_PARAMETERS.values())
    return [
        {"kind": kind, "id": parse_integer(present[name], name, is_typed)}
        for kind, name in ID_PARAMETERS.items()
        if name in present and not is_blank(present[name])
    ]


def _id(kind: str, parameters: Mapping[str, Any], is_typed: bool) -> int:
    name = ID_PARAMETERS[kind]
    return parse_integer(require(parameters, name), name, is_typed)


def _with_start(command: ParsedCommand, start: Mapping[str, Any]) -> ParsedCommand:
    update = command.update
    return command if update is None else replace(command, update={**update, "starts": [start]})
