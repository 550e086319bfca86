"""The update functions that fit a declared type. An undeclared field accepts any; its value decides then."""

from collections.abc import Mapping
from typing import Any

from gateway.schema.formats import describe_format

_REQUIRED = {
    "incr": (("integer", "number"), "a number"),
    "max": (("integer", "number"), "a number"),
    "add": (("array",), "a list"),
    "delete": (("array",), "a list"),
    "set_first": (("array",), "a list"),
    "upsert": (("object", "array"), "an object or a list of objects"),
}
_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "array": "a list",
    "object": "an object",
}


def mismatch(operation: Mapping[str, Any], declared: Mapping[str, Any], item: Mapping[str, Any]) -> str | None:
    """Return why an operation does not fit a field of this schema, or None. `item` is the schema of a list's items."""
    function, kinds = operation["function"], _kinds(declared)
    if "object_only" in operation and kinds and _NAMES["object"] not in kinds:
        return str(operation["object_only"])
    if function not in _REQUIRED:
        return None
    types, needed = _REQUIRED[function]
    if kinds and not kinds & {_NAMES[name] for name in types}:
        return f"{function} needs {needed}, the field is {' or '.join(sorted(kinds))}"
    if function == "upsert" and kinds == {_NAMES["array"]} and _NAMES["object"] not in (of := _kinds(item)) and of:
        return f"{function} needs {needed}, the field is a list in which each is {' or '.join(sorted(of))}"
    return None


def _kinds(declared: Mapping[str, Any]) -> set[str]:
    """Return the names of the types of a field; none if it declares no type."""
    if "enum" in declared:
        return {"one of a set of values"}
    if "format" in declared:
        return {describe_format(declared["format"])}
    types = declared.get("type", ())
    return {_NAMES[name] for name in ([types] if isinstance(types, str) else types) if name in _NAMES}
