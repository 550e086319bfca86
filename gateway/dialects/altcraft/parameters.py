"""The parameters of a request: presence and shape."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import refuse
from gateway.dialects.protocol import Request

_WHITE_SPACE = " \t\r\n"

TRIMMED_MEMBERS = (
    *("matching", "email", "phone", "profile_id", "provider", "subscription_id", "field_name", "field_value"),
    *("channel", "status", "date", "ip"),
)
"""Text members whose surrounding white space is formatting in XML."""

TEXT_MEMBERS = {*TRIMMED_MEMBERS, "url"}
"""Parameters and members of a subscription that are text. An empty one is absent; for others it has the wrong type."""


def parse_parameters(request: Request) -> Mapping[str, Any]:
    """Return the parameters of a request. In XML they are trimmed, and empty ones are absent, except `data`."""
    if request.is_typed:
        return request.tree  # type: ignore[no-any-return]
    data = {"data": request.tree["data"]} if "data" in request.tree else {}
    return {**trim_members(request.tree), **data}


def trim_members(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an element of XML with trimmed texts, without those that have no content."""
    filled = {name: value for name, value in members.items() if value != "" and (name == "url" or not is_blank(value))}
    return {**filled, **{name: strip_text(filled[name]) for name in TRIMMED_MEMBERS if name in filled}}


def is_blank(value: Any) -> bool:
    """Whether a value is a text that is empty or white space alone."""
    return isinstance(value, str) and not value.strip(_WHITE_SPACE)


def strip_text(value: Any) -> Any:
    """Return a text without the white space around it, as in pretty-printed XML. Return any other value unchanged."""
    return value.strip(_WHITE_SPACE) if isinstance(value, str) else value


def has_value(parameters: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter is present, and neither null nor an empty text."""
    value = parameters.get(name)
    return value is not None and (value != "" or name not in TEXT_MEMBERS)


def require(parameters: Mapping[str, Any], name: str) -> Any:
    """Return the value of a required parameter. Raises `Refusal`: missing_parameter."""
    # An empty `data` of XML is an empty object. Any other empty parameter is absent.
    if parameters.get(name) is None or (parameters[name] == "" and name != "data"):
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return parameters[name]


def require_object(value: Any, name: str, is_typed: bool) -> dict[str, Any]:
    """Return an object. An empty element of XML, which is not typed, is an empty object.

    Raises `Refusal`: invalid_parameter.
    """
    if not is_typed and is_blank(value):
        return {}
    if not isinstance(value, dict):
        raise refuse("invalid_parameter", "it must be an object", f"/{name}")
    return value if is_typed else _normalize_subscriptions(value)


def require_list(value: Any, name: str, is_typed: bool) -> list[Any]:
    """Return a list. A single object is a list of one, as in XML. Raises `Refusal`: invalid_parameter."""
    if not is_typed and is_blank(value):
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise refuse("invalid_parameter", "it must be a list", f"/{name}")
    return value


def _normalize_subscriptions(data: dict[str, Any]) -> dict[str, Any]:
    """Return data of XML whose subscriptions have trimmed members and no empty ones. Other empty fields are values."""
    subscriptions = data.get("subscriptions")
    if isinstance(subscriptions, list):
        return {**data, "subscriptions": [_trim_subscription(each) for each in subscriptions]}
    return {**data, "subscriptions": _trim_subscription(subscriptions) or None} if "subscriptions" in data else data


def _trim_subscription(subscription: Any) -> Any:
    return trim_members(subscription) if isinstance(subscription, dict) else strip_text(subscription)
