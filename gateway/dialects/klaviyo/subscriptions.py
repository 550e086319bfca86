"""Klaviyo's requests about consent, to canonical updates: who is subscribed to which channel, and who no longer.

Consent to marketing by a channel is the canonical subscription of that channel and address that belongs to no resource.
Other kinds of consent have no counterpart and stay under `klaviyo`. Pointers of faults are those of a resource, as if
it stood at `/data`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.core.apply import merge_patch
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.jsonapi.documents import (
    PROFILES,
    Faults,
    attributes_of,
    list_,
    object_,
    profiles_of,
    related_ids,
    resource,
    type_faults,
)
from gateway.dialects.klaviyo.requests import KEEP, REJECT, SET_ONCE, naming, segment
from gateway.dialects.klaviyo.times import time_in
from gateway.dialects.klaviyo.writing import writing
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

MOST_SUBSCRIBED, MOST_UNSUBSCRIBED = 1000, 100
KINDS = {"email": ("marketing", "open_tracking"), **dict.fromkeys(("sms", "whatsapp"), ("marketing", "transactional"))}
"""By channel, what can be consented to. Push is not among them: a push token tells by its own states what it may be."""

IDENTIFIER = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number"}
AT = "/data/attributes/subscriptions"


def subscription(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-subscription-bulk-create-jobs`: all of its profiles are subscribed, or none."""
    return _consents(incoming, "profile-subscription-bulk-create-job", "SUBSCRIBED", MOST_SUBSCRIBED)


def unsubscription(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-subscription-bulk-delete-jobs`; whom nobody knows is made, and unsubscribed."""
    return _consents(incoming, "profile-subscription-bulk-delete-job", "UNSUBSCRIBED", MOST_UNSUBSCRIBED)


def old_unsubscription(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-unsubscription-bulk-create-jobs`, which the revisions of 2023 have."""
    return _consents(incoming, "profile-unsubscription-bulk-create-job", "UNSUBSCRIBED", MOST_UNSUBSCRIBED)


def client(incoming: Request) -> ParsedRequest:
    """Reads `POST /client/subscriptions`: one profile, filled as `POST /client/profiles` does, and subscribed."""
    data, faults = resource(incoming, "subscription")
    attributes = attributes_of(data, faults)
    element = _of_a_page(attributes, faults)
    ids = _lists(data, attributes, faults)
    if not ids:
        faults.append(Fault("missing_parameter", "it is missing", "/data/relationships/list/data"))
    job = _Job("SUBSCRIBED", _text(attributes, "custom_source", faults), False, incoming)
    read = job.read(element, {"segments": {"add": [segment(id) for id in ids]}})
    found = [replace(each, pointer=_inside(each.pointer)) for each in read.faults]
    if read.update is None:
        return ParsedRequest(None, [ParsedCommand(None, [*faults, *found])])
    inner = Faults(incoming.is_typed)
    told = object_(element.get("attributes"), "", Faults(incoming.is_typed))
    own = {name: value for name, value in told.items() if name not in CONSENTING}
    written = writing(own, element, inner)
    found += [replace(each, pointer=_inside(each.pointer)) for each in inner]
    profile = merge_patch(written.get("profile", {}), read.update.get("profile", {}))
    operations = [*written.get("operations", ()), *read.update.get("operations", ())]
    parts = {name: value for name, value in (("profile", profile), ("operations", operations)) if value}
    match = {**read.update["match"], "on_multiple": "first"}
    update = {**read.update, **parts, "match": match, "on_conflict": KEEP, "set_once": SET_ONCE}
    return ParsedRequest(None, [ParsedCommand(update, [*faults, *found])])


CONSENTING = ("email", "phone_number", "subscriptions", "age_gated_date_of_birth")
"""The attributes of a profile that a subscription is made of."""


def _of_a_page(attributes: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """The profile of a client's subscription. In bodies of 2023 its attributes stand among the subscription's own."""
    if "profile" not in attributes:
        own = {name: attributes[name] for name in ("email", "phone_number", "properties") if name in attributes}
        return {"type": "profile", "attributes": own}
    profile = object_(attributes["profile"], "/data/attributes/profile", faults)
    return object_(profile.get("data"), "/data/attributes/profile/data", faults)


def _inside(pointer: str) -> str:
    return "/data/attributes/profile" + pointer


# --- subscriptions ---


def _consents(incoming: Request, type: str, consent: str, most: int) -> ParsedRequest:
    data, faults = resource(incoming, type)
    attributes = attributes_of(data, faults)
    elements = _elements(attributes, consent, most, faults)
    ids = _lists(data, attributes, faults)
    way = "add" if consent == "SUBSCRIBED" else "remove"
    segments = {"segments": {way: [segment(id) for id in ids]}} if ids else {}
    source = _text(attributes, "custom_source", faults)
    historical = attributes.get("historical_import")
    if not (isinstance(historical, bool) or faults.is_empty(historical) or _spells_boolean(historical, incoming)):
        faults.append(Fault("invalid_parameter", "it must be true or false", "/data/attributes/historical_import"))
    if faults:
        raise Refusal(faults)
    job = _Job(consent, source, historical in (True, "true"), incoming)
    return ParsedRequest(None, [job.read(element, segments) for element in elements])


def _spells_boolean(value: Any, incoming: Request) -> bool:
    return not incoming.is_typed and value in ("true", "false")


def _lists(data: Mapping[str, Any], attributes: Mapping[str, Any], faults: Faults) -> list[str]:
    """The lists that are meant; a body of 2023 names its only one among the attributes."""
    id = _text(attributes, "list_id", faults)
    return related_ids(data, "list", "list", faults) or ([id] if id else [])


def _text(attributes: Mapping[str, Any], name: str, faults: Faults) -> str:
    """A text among the attributes, "" where there is none."""
    value = attributes.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    faults.append(Fault("invalid_parameter", "it must be a string", join_pointer("data", "attributes", name)))
    return ""


def _elements(attributes: Mapping[str, Any], consent: str, most: int, faults: Faults) -> list[Any]:
    """The profiles of a job. Bodies of 2023 hold them by other names, which are read as those of today."""
    elements = profiles_of(attributes, faults)
    elements += [_of_2023(each, faults) for each in list_(attributes.get("subscriptions"), faults)]
    for name, field, channel in (("emails", "email", "email"), ("phone_numbers", "phone_number", "sms")):
        told = {"subscriptions": {channel: {"marketing": {"consent": consent}}}}
        values = list_(attributes.get(name), faults)
        elements += [{"type": "profile", "attributes": {field: value, **told}} for value in values]
    if not 0 < len(elements) <= most:
        faults.append(Fault("invalid_parameter", f"it must hold 1 to {most} profiles", PROFILES))
    return elements


def _of_2023(given: Any, faults: Faults) -> Any:
    """`{"channels": {"email": ["MARKETING"]}, "email", "phone_number", "profile_id"}` as a resource."""
    if not isinstance(given, dict):
        return given
    channels = given.get("channels")
    told: dict[str, Any] = {name: value for name, value in given.items() if name in ("email", "phone_number")}
    if not isinstance(channels, Mapping):
        told["subscriptions"] = None if faults.is_empty(channels) else channels
    else:
        told["subscriptions"] = {
            channel: {str(kind).lower(): {"consent": "SUBSCRIBED"} for kind in list_(kinds, faults)}
            for channel, kinds in channels.items()
        }
    return {"type": "profile", "id": given.get("profile_id"), "attributes": told}


def _addressed(attributes: Mapping[str, Any], faults: Faults) -> Update:
    """What else a consent writes: the addresses that the profile lacks, and its birthdate."""
    plain = {"email": attributes.get("email"), "birthdate": _text(attributes, "age_gated_date_of_birth", faults)}
    parts: Update = {"on_conflict": REJECT, "set_once": ["/email", "/phone_numbers"]}
    if profile := {name: value for name, value in plain.items() if value not in (None, "")}:
        parts["profile"] = profile
    if phone := attributes.get("phone_number"):
        parts["operations"] = [{"function": "set_first", "pointer": "/phone_numbers", "value": [phone]}]
    return parts


class _Job:
    """What all profiles of a job have in common: the consent, where it came from, and whether it is an old one."""

    def __init__(self, consent: str, source: str, historical: bool, incoming: Request) -> None:
        self._consent, self._source, self._historical = consent, source, historical
        self._now, self._typed = incoming.now, incoming.is_typed

    def read(self, element: Any, segments: Update) -> ParsedCommand:
        if not isinstance(element, dict):
            return ParsedCommand(None, [Fault("invalid_parameter", "it must be an object", "/data")])
        faults = Faults(self._typed, type_faults(element, "profile", "/data"))
        attributes = attributes_of(element, faults)
        named = {name: attributes.get(name) for name in ("email", "phone_number")}
        given = list(self._given(attributes, faults))
        update = {**naming({"id": element.get("id"), **named}, faults), **segments, **_addressed(attributes, faults)}
        marketing = [self._subscription(channel, named, told) for channel, kind, told in given if kind == "marketing"]
        if klaviyo := self._own(given):
            update["profile"] = {**update.get("profile", {}), "klaviyo": klaviyo}
        return ParsedCommand({**update, **({"subscriptions": marketing} if marketing else {})}, faults)

    def _own(self, given: list[tuple[str, str, dict[str, Any]]]) -> dict[str, Any]:
        """What this vendor alone knows: other kinds of consent; and who subscribes to mail is suppressed no longer."""
        others = {channel: {kind: self._consent} for channel, kind, _ in given if kind != "marketing"}
        own: dict[str, Any] = {"consent": others} if others else {}
        if self._consent == "SUBSCRIBED" and any(channel == "email" for channel, _, _ in given):
            own["suppression"] = None
        return own

    def _given(self, attributes: Mapping[str, Any], faults: Faults) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each consent that is told, as channel, kind and what is told of it; marketing by either where none is."""
        default = {
            channel: {"marketing": {"consent": self._consent}}
            for channel in ("email", "sms")
            if attributes.get(IDENTIFIER[channel])
        }
        told = attributes.get("subscriptions")
        for channel, kinds in (default if told is None else object_(told, AT, faults)).items():
            at = AT + join_pointer(channel)
            if channel not in KINDS:
                faults.append(Fault("unknown_field", pointer=at))
            elif not attributes.get(IDENTIFIER[channel]):
                detail = f"{channel} needs it"
                faults.append(
                    Fault("missing_parameter", detail, join_pointer("data", "attributes", IDENTIFIER[channel]))
                )
            else:
                for kind, parameters in object_(kinds, at, faults).items():
                    if self._is_right(kind in KINDS[channel], parameters, at + join_pointer(kind), faults):
                        yield channel, kind, parameters

    def _is_right(self, is_known: bool, parameters: Any, at: str, faults: Faults) -> bool:
        if not is_known:
            faults.append(Fault("unknown_field", pointer=at))
        elif faults.is_empty(parameters):
            return False  # the vendor's contract lets it be null, which says nothing
        elif not isinstance(parameters, dict) or parameters.get("consent") != self._consent:
            faults.append(Fault("invalid_parameter", f"it must be {self._consent}", f"{at}/consent"))
        elif reason := self._reason_against(parameters.get("consented_at")):
            faults.append(Fault("invalid_parameter", reason, f"{at}/consented_at"))
        else:
            return True
        return False

    def _reason_against(self, consented_at: Any) -> str:
        """What is wrong with the time of a consent, if anything: it goes with a historical import, and is past."""
        if consented_at in (None, ""):
            return "a historical import needs it" if self._historical else ""
        if not self._historical:
            return "it is taken with historical_import alone"
        try:
            return "" if time_in(consented_at) <= self._now else "it must be in the past"
        except (TypeError, ValueError):
            return "it must be a date or time (ISO 8601)"

    def _subscription(self, channel: str, named: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
        address = {"email": {"email": named["email"]}, "sms": {"phone": named["phone_number"]}}
        one = {"channel": channel, **address.get(channel, {"cc_data": {"phone": named["phone_number"]}})}
        one["status"] = self._consent.lower()
        if date := told.get("consented_at"):
            one["date"] = date
        if self._source:
            one["custom_fields"] = {"custom_source": self._source}
        return one
