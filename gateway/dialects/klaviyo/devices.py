"""The attributes of a push token: the token itself, the states of its device, and the device's description."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.consent import DELETED
from gateway.core.faults import Fault
from gateway.core.model import Document, Profile, Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.jsonapi.documents import ATTRIBUTES, BodyFaults, parse_object
from gateway.dialects.klaviyo.jsonapi.links import (
    parse_field_names,
    parse_parameters,
    relationship_links,
    unknown_field,
)
from gateway.dialects.klaviyo.times import render_time
from gateway.dialects.protocol import Request

PROVIDERS = {
    "android-firebase": ("android", "fcm"),
    "ios-firebase": ("ios", "fcm"),
    "ios-apns": ("ios", "apns"),
    "android-apns": ("android", "apns"),
}
"""Platform and vendor by the provider of a canonical subscription."""

STATES = {
    "enablement_status": ("AUTHORIZED", "DENIED", "NOT_DETERMINED", "PROVISIONAL", "UNAUTHORIZED"),
    "background": ("AVAILABLE", "DENIED", "RESTRICTED"),
}
"""The values of each state. The first one is the default."""

DEVICE_MEMBERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("device_id", "sdk_version", "device_model", "os_version", "manufacturer"), ()),
    **dict.fromkeys(("app_name", "app_version", "app_build", "app_id"), ()),
    "klaviyo_sdk": ("android", "flutter", "flutter_community", "react_native", "swift"),
    "os_name": ("android", "ios", "ipados", "macos", "tvos"),
    "environment": ("debug", "release"),
}
"""The members of a device's description, and the values of those that are enumerations."""

TOKEN_FIELDS = (
    *("created", "token", "enablement_status", "platform", "vendor", "background"),
    *("recorded_date", "metadata"),
)
FIELDS_PARAMETER = "fields[push-token]"
DEVICE = f"{ATTRIBUTES}/device_metadata"


@dataclass(frozen=True, slots=True)
class PushToken:
    """A token and its provider: together they are the address of a canonical subscription of channel `push`."""

    provider: str
    token: str

    @property
    def id(self) -> str:
        """The token's id. It encodes the token, so that no table of ids is necessary."""
        return urlsafe_b64encode(f"{self.provider}:{self.token}".encode()).decode().rstrip("=")

    @property
    def subscription(self) -> dict[str, str]:
        """The canonical subscription of the token."""
        return {"channel": "push", "provider": self.provider, "subscription_id": self.token}

    @property
    def match(self) -> dict[str, Any]:
        """The canonical match of the profile that has the token."""
        return {"mode": "push_sub", "values": {"provider": self.provider, "subscription_id": self.token}}

    @property
    def pointer(self) -> str:
        """The canonical pointer to the token's states, device and times, which only this vendor has."""
        return join_pointer(NAMESPACE, "push_tokens", self.id)

    def registration(self, device: Mapping[str, Any]) -> Update:
        """Return the members of an update that move the token to a profile, with the states of its device."""
        created = f"{self.pointer}/created"
        return {
            "operations": [{"function": "set", "pointer": self.pointer, "value": device}],
            "subscriptions": [self.subscription],
            "timestamps": [created, f"{self.pointer}/recorded"],
            "set_once": [created],
            "detach_from_others": {"match": self.match, **self.removal},
        }

    @property
    def removal(self) -> Update:
        """The members of an update that remove the token from a profile."""
        return {
            "remove_subscriptions": [self.subscription],
            "operations": [{"function": "set", "pointer": self.pointer, "value": None}],
        }


def parse_token_id(id: str) -> PushToken | None:
    """Return the token that an id encodes, or None if it encodes none."""
    try:
        provider, _, token = urlsafe_b64decode(id + "=" * (-len(id) % 4)).decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    push_token = PushToken(provider, token)
    return push_token if provider in PROVIDERS and token and push_token.id == id else None


def parse_token(attributes: Mapping[str, Any], faults: BodyFaults) -> PushToken:
    """Return the token of a body. It is usable only if there are no faults."""
    platform, vendor = (_lower(attributes.get(name)) for name in ("platform", "vendor"))
    token = attributes.get("token")
    for name, value, values in (("platform", platform, ("android", "ios")), ("vendor", vendor, ("apns", "fcm"))):
        if value not in values:
            faults.append(Fault("invalid_parameter", f"it must be {' or '.join(values)}", f"{ATTRIBUTES}/{name}"))
    if not isinstance(token, str) or not token:
        detail = "it is missing" if token in (None, "") else "it must be a string"
        faults.append(Fault("invalid_parameter", detail, f"{ATTRIBUTES}/token"))
    provider = next((name for name, parts in PROVIDERS.items() if parts == (platform, vendor)), "")
    return PushToken(provider, str(token))


def parse_device(attributes: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    """Return the states and the device of a token, in the vendor's namespace."""
    device: dict[str, Any] = {}
    for name, values in STATES.items():
        value = attributes.get(name)
        state = values[0] if value in (None, "") else value.upper() if isinstance(value, str) else value
        device[name] = _parse_word(state, values, f"{ATTRIBUTES}/{name}", faults)
    return {**device, "metadata": _parse_metadata(attributes, faults)}


def _parse_metadata(attributes: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    members = parse_object(attributes.get("device_metadata"), DEVICE, faults)
    values = {name: value for name, value in members.items() if value not in (None, "")}
    unknown = [DEVICE + join_pointer(name) for name in members if name not in DEVICE_MEMBERS]
    faults += [Fault("invalid_parameter", "no such thing is known", pointer) for pointer in unknown]
    return {
        name: _parse_word(
            _lower(value) if DEVICE_MEMBERS[name] else value, DEVICE_MEMBERS[name], f"{DEVICE}/{name}", faults
        )
        for name, value in values.items()
        if name in DEVICE_MEMBERS
    }


def _lower(value: Any) -> Any:
    """Return a word of an enumeration in lower case: the mobile SDKs send `APNs`, `FCM`, `Android` and `iOS`."""
    return value.lower() if isinstance(value, str) else value


def _parse_word(value: Any, values: tuple[str, ...], pointer: str, faults: BodyFaults) -> Any:
    """Return a string that is one of `values`, or any string if there are none."""
    if not isinstance(value, str) or (values and value not in values):
        detail = f"it must be one of {', '.join(values)}" if values else "it must be a string"
        faults.append(Fault("invalid_parameter", detail, pointer))
    return value


def tokens_of(document: Document) -> list[PushToken]:
    """Return the tokens of a profile. A token with several subscriptions appears once."""
    stored = document.get("subscriptions", ())
    subscriptions = (each for each in stored if each["channel"] == "push" and DELETED not in each)
    tokens = (PushToken(each["provider"], each["subscription_id"]) for each in subscriptions)
    return list(dict.fromkeys(token for token in tokens if token.provider in PROVIDERS))


def render_device(token: PushToken, profile: Profile) -> dict[str, Any]:
    """Return the attributes of a token. One of another dialect has the time of its profile."""
    device = profile.document.get(NAMESPACE, {}).get("push_tokens", {}).get(token.id, {})
    platform, vendor = PROVIDERS[token.provider]
    return {
        "created": render_time(device.get("created", profile.created)),
        "token": token.token,
        "platform": platform,
        "vendor": vendor,
        **{name: device.get(name, values[0]) for name, values in STATES.items()},
        "recorded_date": render_time(device.get("recorded", profile.created)),
        "metadata": {name: device.get("metadata", {}).get(name) for name in DEVICE_MEMBERS},
    }


def token_context(request: Request) -> dict[str, Any]:
    """Return the requested attributes of tokens, for the context of a reply."""
    parameters = parse_parameters(request)
    names = parse_field_names(parameters, FIELDS_PARAMETER) if parameters else ()
    members = {name.partition(".")[0] for name in names}
    if unknown := sorted(members - {"id", *TOKEN_FIELDS}):
        raise unknown_field(FIELDS_PARAMETER, unknown[0], "push-token")
    return {"token_fields": members}


def token_resource(token: PushToken, profile: Profile, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a token of a profile as a resource with the requested attributes."""
    attributes = render_device(token, profile)
    names = context["token_fields"] or attributes
    link = f"{context['base']}/api/push-tokens/{token.id}"
    relationship = {"data": {"type": "profile", "id": profile.id}, "links": relationship_links(link, "profile")}
    return {
        "type": "push-token",
        "id": token.id,
        "attributes": {name: value for name, value in attributes.items() if name in names},
        "relationships": {"profile": relationship},
        "links": {"self": link},
    }
