"""Validates the files of a case folder and names what is wrong with them. Sends nothing."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gateway.core.faults import Fault
from gateway.schema.compiled import with_any_channel
from gateway.schema.declarations import COMMAND, PROFILE, SUBSCRIPTION
from gateway.schema.files import load_schema
from gateway.schema.validation import Validator
from gateway.testkit.comparison import ABSENT, parse_body
from gateway.testkit.matchers import is_matcher, matcher_faults

MEDIA_TYPES = {"json": "application/json", "xml": "application/xml"}

CASE_FILES = {
    "case.json",
    *(f"{name}.json" for name in ("before", "jobs", "canonical", "after")),
    *(f"{name}.{media}" for name in ("request", "response") for media in MEDIA_TYPES),
}
"""The JSON and XML files that a case folder may contain. Files with other extensions are ignored."""


class InvalidCase(ValueError):
    """A case that cannot run: the file, and the reason."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


def read_description(folder: Path) -> Mapping[str, Any]:
    """Return the content of case.json. Raises `InvalidCase`."""
    file = folder / "case.json"
    description: Mapping[str, Any] = _read_json(file)
    if reason := invalid_description_reason(description):
        raise InvalidCase(file, reason)
    return description


def invalid_description_reason(description: Any) -> str:
    """Return why a value is not a valid case.json, or ""."""
    return _join(_description_validator().faults(description))


def validate_files(folder: Path) -> None:
    """Validate the names and contents of the other files. Raises `InvalidCase`."""
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".xml") and file.name not in CASE_FILES:
            raise InvalidCase(file, f"no file of a case is called so; there are {', '.join(sorted(CASE_FILES))}, xfail")
        if file.name in CASE_FILES and not file.is_file():
            raise InvalidCase(file, "it is no file")
    for name in ("before", "after", "jobs"):
        if (file := folder / f"{name}.json").exists():
            _validate_rows(file, _read_json(file))
    responses = [file for media in MEDIA_TYPES if (file := folder / f"response.{media}").exists()]
    if not responses:
        raise InvalidCase(folder / "response.json", "it is missing; an empty one says that the answer has no body")
    for file in responses:
        _validate_response(file)


def _validate_rows(file: Path, rows: Any) -> None:
    _validate_matchers(file, rows)
    if is_matcher(rows) and file.name == "after.json":
        return
    validators = {"before.json": _before_validator, "jobs.json": _jobs_validator, "after.json": _after_validator}
    if faults := validators[file.name]().faults(rows):
        raise InvalidCase(file, _join(faults))
    ids = [row["id"] for row in rows if "id" in row]
    if duplicate := next((id for id in ids if ids.count(id) > 1), None):
        raise InvalidCase(file, f"two have the id {duplicate}")


def _validate_response(file: Path) -> None:
    try:
        expected = parse_body(file.suffix.removeprefix("."), file.read_bytes())
    except ValueError as error:
        raise InvalidCase(file, str(error)) from None
    _validate_matchers(file, expected.tree)


def _validate_matchers(file: Path, expected: Any) -> None:
    if found := list(matcher_faults(expected)):
        raise InvalidCase(file, "; ".join(f"{pointer} {reason}" for pointer, reason in found))


def _read_json(file: Path) -> Any:
    try:
        tree = parse_body("json", file.read_bytes()).tree
    except OSError as error:
        raise InvalidCase(file, str(error.strerror)) from None
    except ValueError as error:
        raise InvalidCase(file, f"it is not JSON: {error}") from None
    if tree is ABSENT:
        raise InvalidCase(file, "it is empty")
    return tree


def _join(faults: Iterable[Fault]) -> str:
    return "; ".join(f"{fault.pointer} {_reason(fault)}".strip() for fault in faults)


def _reason(fault: Fault) -> str:
    return "there is no such member" if fault.code == "unknown_field" else fault.text


# --- validators ---


@cache
def _description_validator() -> Validator:
    return Validator(load_schema("case"), {})


@cache
def _before_validator() -> Validator:
    subscription = with_any_channel(load_schema("subscription"))
    schemas = {PROFILE: load_schema("profile"), SUBSCRIPTION: subscription, COMMAND: load_schema("command")}
    return Validator(_rows_schema({"$ref": PROFILE}), schemas)


@cache
def _after_validator() -> Validator:
    return Validator(_rows_schema({"type": "object"}), {})  # the documents may contain matchers


@cache
def _jobs_validator() -> Validator:
    lists = {name: {"type": "array"} for name in ("profiles", "failures")}
    return Validator({"type": "array", "items": {"type": "object", "properties": lists, "required": list(lists)}}, {})


def _rows_schema(document: Mapping[str, Any]) -> dict[str, Any]:
    members = {"id": {"type": "string"}, "document": document}
    row = {"type": "object", "properties": members, "required": ["id", "document"], "additionalProperties": False}
    return {"type": "array", "items": row}
