"""JSON Pointer (RFC 6901): from names, to names, and the value at a path."""

from collections.abc import Iterable
from typing import Any


def join_pointer(*names: str | int) -> str:
    """Return the pointer of these names and indices."""
    pointer = ""
    for name in names:
        text = str(name)
        if "/" in text or "~" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer += f"/{text}"
    return pointer


def split_pointer(pointer: str) -> list[str]:
    """Return the names of a pointer. The whole document, "", has none."""
    return [name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:]]


def value_at(value: Any, path: Iterable[str]) -> Any:
    """Return the value at the end of a path of names and indices, or None where there is none."""
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
