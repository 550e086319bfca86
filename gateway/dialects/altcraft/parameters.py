"""The parameters of a request: presence and shape."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import refuse
from gateway.dialects.protocol import Request

TEXT_MEMBERS = {
    *("matching", "email", "phone", "profile_id", "provider", "subscription_id", "field_name", "field_value"),
    *("channel", "status", "date", "ip", "url"),
}
"""Parameters and members of a subscription that are text. An empty one is absent; for others it has the wrong type."""


def parse_parameters(request: Request) -> Mapping[str, Any]:
    """Return the parameters of a request, without the empty elements of XML. An empty `data` stays."""
    if request.is_typed:
        return request.tree  # type: ignore[no-any-return]
    return {name: value for name, value in request.tree.items() if value != "" or name == "data"}


def strip_text(value: Any) -> Any:
    """Return a text without the white space around it, as in pretty-printed XML. Return any other value unchanged."""
    return value.strip() if isinstance(value, str) else value


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
    if value == "" and not is_typed:
        return {}
    if not isinstance(value, dict):
        raise refuse("invalid_parameter", "it must be an object", f"/{name}")
    return value if is_typed else _normalize_subscriptions(value)


def require_list(value: Any, name: str, is_typed: bool) -> list[Any]:
    """Return a list. A single object is a list of one, as in XML. Raises `Refusal`: invalid_parameter."""
    if value == "" and not is_typed:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise refuse("invalid_parameter", "it must be a list", f"/{name}")
    return value


def _normalize_subscriptions(data: dict[str, Any]) -> dict[str, Any]:
    """Return data of XML without the empty elements of its subscriptions. Empty elements of fields are values."""
    subscriptions = data.get("subscriptions")
    if isinstance(subscriptions, list):
        return {**data, "subscriptions": [_without_empty(each) for each in subscriptions]}
    return {**data, "subscriptions": _without_empty(subscriptions) or None} if "subscriptions" in data else data


def _without_empty(subscription: Any) -> Any:
    if not isinstance(subscription, dict):
        return subscription
    return {name: value for name, value in subscription.items() if value != ""}
