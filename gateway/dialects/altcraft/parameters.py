"""A request's parameters: there or not, and of which shape. What they mean is said elsewhere."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import refuse


def word(value: Any) -> Any:
    """A parameter's word without the white space that pretty-printed XML puts around it."""
    return value.strip() if isinstance(value, str) else value


def given(top: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter is there with a value; an empty element of XML is as good as none."""
    return top.get(name) not in (None, "")


def demanded(top: Mapping[str, Any], name: str) -> Any:
    """A parameter that must be there. Raises `Refusal`: missing_parameter."""
    # `<data/>` is an empty object; for every other parameter emptiness is absence.
    if top.get(name) is None or (top[name] == "" and name != "data"):
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return top[name]


def object_(value: Any, name: str, typed: bool) -> dict[str, Any]:
    """An object; an empty element of XML, which is not typed, is one without members.

    Raises `Refusal`: invalid_parameter.
    """
    if value == "" and not typed:
        return {}
    if not isinstance(value, dict):
        raise refuse("invalid_parameter", "it must be an object", f"/{name}")
    return value


def list_(value: Any, name: str, typed: bool) -> list[Any]:
    """A list; one object alone, as XML writes a list of one, counts as such. Raises `Refusal`: invalid_parameter."""
    if value == "" and not typed:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise refuse("invalid_parameter", "it must be a list", f"/{name}")
    return value
