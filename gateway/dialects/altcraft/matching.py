"""The match of a request: the mode, and the values that it needs, from the parameters or else from the data."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.matching import MODES
from gateway.dialects.altcraft.data import parse_subscription
from gateway.dialects.altcraft.parameters import has_value, strip_text

SEARCH_MODES = (
    *("email", "email_profile", "email_sub", "phone", "phone_sub", "profile_id", "push_sub"),
    *("custom", "custom_sub", "email_phone", "email_phone_sub"),
)
DELETE_MODES = ("email", "phone", "profile_id", "custom")

_NAMES = {mode: tuple(dict.fromkeys(name for group in groups for name in group)) for mode, groups in MODES.items()}
"""By mode: the names of its match values."""

_CHANNELS = {
    "email": "email",
    "phone": "sms",
    "provider": "push",
    "subscription_id": "push",
    "field_name": "custom",
    "field_value": "custom",
}
"""By match value: the channel of the subscriptions that have it."""

_FIELDS = {"phone": "phones", "email": "email"}
"""By match value: the field of the profile that has it."""


def parse_match(
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    modes: Iterable[str] = SEARCH_MODES,
    default: str = "email",
    is_typed: bool = True,
) -> tuple[dict[str, Any], list[Fault]]:
    """Return the match of a request: mode, values, and the resource that restricts it."""
    if faults := mode_faults(parameters, modes):
        return {"mode": "none", "values": {}}, faults
    if has_value(parameters, "matching"):
        mode = strip_text(parameters["matching"])
    else:
        mode = "profile_id" if has_value(parameters, "profile_id") else default
    found = ((name, _value(mode, name, parameters, data, is_typed)) for name in _NAMES[mode])
    values = {name: value for name, value in found if value is not None}
    resource = {"resource_id": parameters["resource_id"]} if has_value(parameters, "resource_id") else {}
    return {"mode": mode, "values": values, **resource}, []


def mode_faults(parameters: Mapping[str, Any], modes: Iterable[str]) -> list[Fault]:
    """Return the fault of a `matching` that is not one of these modes."""
    if not has_value(parameters, "matching") or strip_text(parameters["matching"]) in modes:
        return []
    return [Fault("unknown_matching", f"it must be one of {', '.join(modes)}", "/match/mode")]


def _value(mode: str, name: str, parameters: Mapping[str, Any], data: Mapping[str, Any], is_typed: bool) -> Any:
    """Return a match value: the parameter, or else the value in the data, or else None."""
    if has_value(parameters, name):
        return parameters[name]
    found = _values_in_data(mode, name, parameters, data)
    values = found if is_typed else map(strip_text, found)
    return next((value for value in values if value not in (None, "")), None)


def _values_in_data(mode: str, name: str, parameters: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Any]:
    """Return the candidates for a match value. In `_sub` modes the subscriptions come first, otherwise the field."""
    if name == "field_value" and mode == "custom":
        yield _plain_value(data.get(str(parameters.get("field_name"))))
    if not mode.endswith("_sub"):
        yield _field_value(data, name)
    for subscription in _subscriptions(data, _CHANNELS.get(name, "")):
        if _agrees(subscription, parameters):
            yield subscription.get(name)
    if mode.endswith("_sub"):
        yield _field_value(data, name)


def _agrees(subscription: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Whether a subscription has the resource, provider and field name of the parameters, where these are present."""
    return all(
        parameters.get(name) in (None, "", subscription.get(name)) for name in ("resource_id", "provider", "field_name")
    )


def _field_value(data: Mapping[str, Any], name: str) -> str | None:
    value = _plain_value(data.get(_FIELDS.get(name, "")))
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else None


def _plain_value(value: Any) -> Any:
    """Return the value that a field is set to, with or without the function `set`."""
    return value.get("value") if isinstance(value, dict) and value.get("action") == "set" else value


def _subscriptions(data: Mapping[str, Any], channel: str) -> Iterator[dict[str, Any]]:
    subscriptions = data.get("subscriptions")
    for each in subscriptions if isinstance(subscriptions, list) else [subscriptions]:
        if isinstance(each, dict) and each.get("channel") == channel:
            yield parse_subscription(each, "", is_typed=True)[0]
