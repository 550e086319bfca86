"""Which profile a request means: its mode, the values that the mode needs, and where they stand if not beside it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.matching import MODES
from gateway.dialects.altcraft.data import edit_of
from gateway.dialects.altcraft.parameters import given, word

SEARCHING = (
    *("email", "email_profile", "email_sub", "phone", "phone_sub", "profile_id", "push_sub"),
    *("custom", "custom_sub", "email_phone", "email_phone_sub"),
)

_NEEDED = {mode: tuple(dict.fromkeys(name for group in groups for name in group)) for mode, groups in MODES.items()}
"""The match values that each mode looks for."""


def match_of(
    top: Mapping[str, Any],
    data: Mapping[str, Any],
    modes: Iterable[str] = SEARCHING,
    default: str = "email",
) -> tuple[dict[str, Any], list[Fault]]:
    """The match of a request: mode, the values it needs, and the resource that narrows it."""
    if faults := misnamed(top, modes):
        return {"mode": "none", "values": {}}, faults
    mode = word(top["matching"]) if given(top, "matching") else "profile_id" if given(top, "profile_id") else default
    values = {name: value for name in _NEEDED[mode] if (value := _value(mode, name, top, data)) is not None}
    narrowed = {"resource_id": top["resource_id"]} if given(top, "resource_id") else {}
    return {"mode": mode, "values": values, **narrowed}, []


def _value(mode: str, name: str, top: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    """A match value: as it stands among the parameters, else as the data says it; None where neither does."""
    if given(top, name):
        return top[name]
    return next((value for value in _fall_back(mode, name, top, data) if value not in (None, "")), None)


def misnamed(top: Mapping[str, Any], modes: Iterable[str]) -> list[Fault]:
    """The fault of a `matching` that is none of these modes."""
    if not given(top, "matching") or word(top["matching"]) in modes:
        return []
    return [Fault("unknown_matching", f"it must be one of {', '.join(modes)}", "/match/mode")]


def _fall_back(mode: str, name: str, top: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Any]:
    """Where the profile's own data says what the match fields do not; in `_sub` modes subscriptions come first."""
    if name == "field_value" and mode == "custom":
        yield _plain(data.get(str(top.get("field_name"))))
    if not mode.endswith("_sub"):
        yield _own_value(data, name)
    yield from (each.get(name) for each in _channel(data, _CHANNELS.get(name, "")) if _fits(each, top))
    if mode.endswith("_sub"):
        yield _own_value(data, name)


def _fits(subscription: Mapping[str, Any], top: Mapping[str, Any]) -> bool:
    """Whether a subscription is of the resource, provider and field that the request names, as far as it names them."""
    return all(
        top.get(name) in (None, "", subscription.get(name)) for name in ("resource_id", "provider", "field_name")
    )


_CHANNELS = {
    "email": "email",
    "phone": "sms",
    "provider": "push",
    "subscription_id": "push",
    "field_name": "custom",
    "field_value": "custom",
}


_OWN = {"phone": "phones", "email": "email"}


def _own_value(data: Mapping[str, Any], name: str) -> str | None:
    value = _plain(data.get(_OWN.get(name, "")))
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else None


def _plain(value: Any) -> Any:
    """The plain value that a field is set to, by the function `set` or without one."""
    return value.get("value") if isinstance(value, dict) and value.get("action") == "set" else value


def _channel(data: Mapping[str, Any], channel: str) -> Iterator[dict[str, Any]]:
    subscriptions = data.get("subscriptions")
    for each in subscriptions if isinstance(subscriptions, list) else [subscriptions]:
        if isinstance(each, dict) and each.get("channel") == channel:
            yield edit_of(each, "")[0]
