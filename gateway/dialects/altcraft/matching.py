"""The match of a request: the mode, and the values that it needs, from the parameters or else from the data."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

from gateway.core.faults import Fault
from gateway.core.matching import MODES
from gateway.dialects.altcraft.parameters import strip_text
from gateway.dialects.altcraft.subscriptions import parse_subscription

SEARCH_MODES = (
    *("email", "email_profile", "email_sub", "phone", "phone_sub", "profile_id", "push_sub"),
    *("custom", "custom_sub", "email_phone", "email_phone_sub"),
)
DELETE_MODES = ("email", "phone", "profile_id", "custom")

NO_MATCH: Mapping[str, Any] = {"mode": "none", "values": {}}

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


def mode_faults(mode: Any, modes: Collection[str]) -> list[Fault]:
    """Return the fault of a `matching` that is not one of these modes. null and an empty text are absent."""
    if mode is None or mode == "" or strip_text(mode) in modes:
        return []
    return [Fault("unknown_matching", f"it must be one of {', '.join(modes)}", "/match/mode")]


def parse_match(
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    faults: list[Fault],
    modes: Collection[str] = SEARCH_MODES,
    default: str = "email",
    is_typed: bool = True,
) -> Mapping[str, Any]:
    """Return the match of a request: mode, values, and the resource that restricts it. Append its fault to `faults`."""
    mode = parameters.get("matching")
    if mode is None or mode == "":
        mode = default if parameters.get("profile_id") in (None, "") else "profile_id"
    elif mode not in modes:
        if found := mode_faults(mode, modes):
            faults += found
            return NO_MATCH
        mode = strip_text(mode)
    values = {}
    for name in _NAMES[mode]:
        value = parameters.get(name)
        if value is None or value == "":
            value = _find_in_data(mode, name, parameters, data, is_typed)
        if value is not None:
            values[name] = value
    match = {"mode": mode, "values": values}
    if (resource := parameters.get("resource_id")) is not None:
        match["resource_id"] = resource
    return match


# --- values in the data ---

_Members: TypeAlias = Mapping[str, Any]
_Find: TypeAlias = Callable[[str, _Members, _Members, bool], Iterable[Any]]
"""Return the candidates for a match value: its name, the parameters, the data, and whether leaves are typed."""


def _find_in_data(mode: str, name: str, parameters: _Members, data: _Members, is_typed: bool) -> Any:
    """Return a match value from the data, or None."""
    for find in _PLACES.get((mode, name), _PLACES_BY_MODE[mode]) if data else ():
        for value in find(name, parameters, data, is_typed):
            found = value if is_typed else strip_text(value)
            if found is not None and found != "":
                return found
    return None


def _in_named_field(_name: str, parameters: _Members, data: _Members, _is_typed: bool) -> Iterable[Any]:
    return (_plain_value(data.get(str(parameters.get("field_name")))),)


def _in_field(name: str, _parameters: _Members, data: _Members, _is_typed: bool) -> Iterable[Any]:
    value = data.get(_FIELDS[name]) if name in _FIELDS else None
    if isinstance(value, dict):
        value = _plain_value(value)
    first = value[0] if isinstance(value, list) and value else value
    return (first,) if isinstance(first, str) else ()


def _in_subscriptions(name: str, parameters: _Members, data: _Members, is_typed: bool) -> Iterable[Any]:
    """Yield the value of each subscription of its channel that the parameters do not exclude."""
    channel, subscriptions = _CHANNELS.get(name), data.get("subscriptions")
    for each in subscriptions if isinstance(subscriptions, list) else (subscriptions,):
        if channel and isinstance(each, dict):
            subscription = parse_subscription(each, "", [], is_typed)
            if subscription.get("channel") == channel and _agrees(subscription, parameters):
                yield subscription.get(name)


def _agrees(subscription: _Members, parameters: _Members) -> bool:
    """Whether a subscription has the resource, provider and field name of the parameters, where these are present."""
    return all(
        parameters.get(name) in (None, "", subscription.get(name)) for name in ("resource_id", "provider", "field_name")
    )


def _plain_value(value: Any) -> Any:
    """Return the value that a field is set to, with or without the function `set`."""
    return value.get("value") if isinstance(value, dict) and value.get("action") == "set" else value


_PLACES_BY_MODE: Mapping[str, tuple[_Find, ...]] = {
    mode: (_in_subscriptions, _in_field) if mode.endswith("_sub") else (_in_field, _in_subscriptions)
    for mode in SEARCH_MODES
}
"""By mode: where match values are in the data, in the order of the search."""

_PLACES: Mapping[tuple[str, str], tuple[_Find, ...]] = {
    ("custom", "field_value"): (_in_named_field, *_PLACES_BY_MODE["custom"])
}
"""The same by mode and name, where it differs."""
