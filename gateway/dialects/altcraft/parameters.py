"""The parameters of a request: presence and shape."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.faults import refuse
from gateway.core.numbers import INTEGERS
from gateway.dialects.protocol import Request

XML_SPACE = " \t\r\n"

_INTEGER = re.compile(r"-?[0-9]{1,19}")

TRIMMED_MEMBERS = frozenset(
    {
        *("matching", "email", "phone", "profile_id", "provider", "subscription_id", "field_name", "field_value"),
        *("channel", "status", "date", "ip"),
    }
)
"""Text members whose surrounding white space is formatting in XML."""

TEXT_MEMBERS = TRIMMED_MEMBERS | {"url"}
"""Parameters and members of a subscription that are text. An empty one is absent; for others it has the wrong type."""


def parse_parameters(request: Request) -> Mapping[str, Any]:
    """Return the parameters of a request. In XML they are trimmed, and empty ones are absent, except `data`."""
    tree: dict[str, Any] = request.tree
    if request.is_typed:
        return tree
    parameters = trim_members(tree)
    if "data" in tree:
        parameters["data"] = tree["data"]
    return parameters


def trim_members(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an element of XML with trimmed texts, without those that have no content."""
    trimmed = {}
    for name, value in members.items():
        if isinstance(value, str):
            text = value.strip(XML_SPACE)
            if not text and (not value or name != "url"):
                continue
            if name in TRIMMED_MEMBERS:
                value = text
        trimmed[name] = value
    return trimmed


def present_members(members: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of the named members that are present, and neither null nor an empty text."""
    present = {}
    for name in names:
        value = members.get(name)
        if value is not None and (value != "" or name not in TEXT_MEMBERS):
            present[name] = value
    return present


def is_blank(value: Any) -> bool:
    """Whether a value is a text that is empty or white space alone."""
    return isinstance(value, str) and not value.strip(XML_SPACE)


def strip_text(value: Any) -> Any:
    """Return a text without the white space around it, as in pretty-printed XML. Return any other value unchanged."""
    return value.strip(XML_SPACE) if isinstance(value, str) else value


def require(parameters: Mapping[str, Any], name: str) -> Any:
    """Return the value of a required parameter. Raises `Refusal`: missing_parameter."""
    value = parameters.get(name)
    # An empty `data` of XML is an empty object. Any other empty parameter is absent.
    if value is None or (value == "" and name != "data"):
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return value


def require_object(value: Any, name: str, is_typed: bool) -> dict[str, Any]:
    """Return an object. An empty element of XML, which is not typed, is an empty object.

    Raises `Refusal`: invalid_parameter.
    """
    if isinstance(value, dict):
        return value
    if not is_typed and is_blank(value):
        return {}
    raise refuse("invalid_parameter", "it must be an object", f"/{name}")


def require_list(value: Any, name: str, is_typed: bool) -> list[Any]:
    """Return a list. A single object is a list of one, as in XML. Raises `Refusal`: invalid_parameter."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    if not is_typed and is_blank(value):
        return []
    raise refuse("invalid_parameter", "it must be a list", f"/{name}")


def parse_text(value: Any, name: str) -> str | None:
    """Return a text, or None if it is absent. Raises `Refusal`: invalid_parameter."""
    if value is not None and not isinstance(value, str):
        raise refuse("invalid_parameter", "it must be a string", f"/{name}")
    return value


def parse_integer(value: Any, name: str, is_typed: bool) -> int:
    """Return an integer of 64 bits, which is a text in XML. Raises `Refusal`: invalid_parameter."""
    text = strip_text(value)
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if not is_typed and isinstance(text, str) and _INTEGER.fullmatch(text) and int(text) in INTEGERS:
        return int(text)
    raise refuse("invalid_parameter", "it must be an integer", f"/{name}")
