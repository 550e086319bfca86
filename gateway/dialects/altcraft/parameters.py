"""A request's parameters: there or not, and of which shape. What they mean is said elsewhere."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import refuse
from gateway.dialects.protocol import Request


def word(value: Any) -> Any:
    """A parameter's word without the white space that pretty-printed XML puts around it."""
    return value.strip() if isinstance(value, str) else value


TEXTS = {
    *("matching", "email", "phone", "profile_id", "provider", "subscription_id", "field_name", "field_value"),
    *("channel", "status", "date", "ip", "url"),
}
"""Parameters and members of a subscription that are texts: an empty one says nothing. Of others it is a wrong type."""


def parameters_of(incoming: Request) -> Mapping[str, Any]:
    """A request's parameters, without those that are empty elements of XML; `<data/>` is an empty object."""
    if incoming.is_typed:
        return incoming.tree  # type: ignore[no-any-return]
    return {name: value for name, value in incoming.tree.items() if value != "" or name == "data"}


def given(top: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter is there with a value; an empty text is as good as none."""
    value = top.get(name)
    return value is not None and (value != "" or name not in TEXTS)


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
    return value if typed else _of_elements(value)


def _of_elements(data: dict[str, Any]) -> dict[str, Any]:
    """Data of XML, without the empty elements of its subscriptions, which say nothing; those of fields do."""
    subscriptions = data.get("subscriptions")
    if isinstance(subscriptions, list):
        return {**data, "subscriptions": [_told(each) for each in subscriptions]}
    return {**data, "subscriptions": _told(subscriptions) or None} if "subscriptions" in data else data


def _told(subscription: Any) -> Any:
    if not isinstance(subscription, dict):
        return subscription
    return {name: value for name, value in subscription.items() if value != ""}


def list_(value: Any, name: str, typed: bool) -> list[Any]:
    """A list; one object alone, as XML writes a list of one, counts as such. Raises `Refusal`: invalid_parameter."""
    if value == "" and not typed:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise refuse("invalid_parameter", "it must be a list", f"/{name}")
    return value
