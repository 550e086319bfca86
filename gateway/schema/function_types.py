"""Which update functions a declared type has a use for. An undeclared field takes any: there, what it holds decides.

Knows no update and changes no value.
"""

from collections.abc import Mapping
from typing import Any

from gateway.schema.formats import describe_format

_NEEDS = {
    "incr": (("integer", "number"), "a number"),
    "add": (("array",), "a list"),
    "delete": (("array",), "a list"),
    "set_first": (("array",), "a list"),
    "upsert": (("object", "array"), "an object or a list of objects"),
}
_CALLED = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "array": "a list",
    "object": "an object",
}


def mismatch(function: str, declared: Mapping[str, Any], item: Mapping[str, Any]) -> str | None:
    """Why the function does not fit a field of this schema, if so; `item` is the schema of a list's elements."""
    if function not in _NEEDS:
        return None
    fitting, needed = _NEEDS[function]
    kinds = _kinds(declared)
    if kinds and not kinds & {_CALLED[name] for name in fitting}:
        return f"{function} needs {needed}, the field is {' or '.join(sorted(kinds))}"
    if function == "upsert" and kinds == {_CALLED["array"]} and _CALLED["object"] not in (of := _kinds(item)) and of:
        return f"{function} needs {needed}, the field is a list in which each is {' or '.join(sorted(of))}"
    return None


def _kinds(declared: Mapping[str, Any]) -> set[str]:
    """What a field may be, in words; nothing where its type is not declared."""
    if "enum" in declared:
        return {"one of a set of values"}
    if "format" in declared:
        return {describe_format(declared["format"])}
    types = declared.get("type", ())
    return {_CALLED[name] for name in ([types] if isinstance(types, str) else types) if name in _CALLED}
