"""Subscription jobs: profiles that consent to marketing by a channel, or no longer consent.

Consent to marketing by a channel is the canonical subscription of a channel and an address without a resource. Other
kinds of consent have no counterpart: they are members of the vendor's namespace. Pointers of a profile's faults are
those of a resource at `/data`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gateway.core.apply import merge_patch
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.core.times import parse_time
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_attributes,
    parse_list,
    parse_object,
    parse_related_ids,
    parse_resource,
    parse_text,
    type_faults,
)
from gateway.dialects.klaviyo.lists import change_lists
from gateway.dialects.klaviyo.requests import (
    CLIENT_RULES,
    PROFILE,
    PROFILES,
    REJECT_CONFLICTS,
    match_identifiers,
    parse_members,
    parse_profile_attributes,
    parse_profiles,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

SUBSCRIBED, UNSUBSCRIBED = "SUBSCRIBED", "UNSUBSCRIBED"
MAX_PROFILES = {SUBSCRIBED: 1000, UNSUBSCRIBED: 100}
"""Profiles in one job, by the consent that it gives them."""

CONSENT_KINDS = {
    "email": ("marketing", "open_tracking"),
    "sms": ("marketing", "transactional"),
    "whatsapp": ("marketing", "transactional"),
}
"""The kinds of consent by channel. Push is not among them: the states of a push token express it."""

IDENTIFIERS_BY_CHANNEL = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number"}
CONSENT_FIELDS = ("email", "phone_number", "subscriptions", "age_gated_date_of_birth")
"""The attributes of a profile that a consent consists of."""

SUBSCRIPTIONS = f"{ATTRIBUTES}/subscriptions"


# --- calls ---


def parse_creation(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-subscription-bulk-create-jobs`: subscribe all profiles, or none."""
    return _parse_job(request, "profile-subscription-bulk-create-job", SUBSCRIBED)


def parse_deletion(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-subscription-bulk-delete-jobs`. It creates a profile for an unknown address."""
    return _parse_job(request, "profile-subscription-bulk-delete-job", UNSUBSCRIBED)


def parse_deletion_of_2023(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-unsubscription-bulk-create-jobs` of the revisions of 2023."""
    return _parse_job(request, "profile-unsubscription-bulk-create-job", UNSUBSCRIBED)


def parse_client_subscription(request: Request) -> ParsedRequest:
    """Parse `POST /client/subscriptions`: subscribe one profile, and set its attributes as `/client/profiles` does."""
    data, faults = parse_resource(request, "subscription")
    attributes = parse_attributes(data, faults)
    element = _parse_client_profile(attributes, faults)
    ids = _parse_list_ids(data, attributes, faults)
    if not ids:
        faults.append(Fault("missing_parameter", "it is missing", "/data/relationships/list/data"))
    parser = _ConsentParser(SUBSCRIBED, parse_text(attributes, "custom_source", faults), False, request)
    command = parser.parse(element, change_lists("add", ids))
    faults.add_nested(PROFILE, command.faults)
    if command.update is None:
        return ParsedRequest(None, [ParsedCommand(None, faults)])
    members = _parse_other_members(element, faults)
    update = {**command.update, **_combine_members(members, command.update), **CLIENT_RULES}
    update["match"] = {**update["match"], "on_multiple": "first"}
    return ParsedRequest(None, [ParsedCommand(update, faults)])


def _parse_client_profile(attributes: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    """Return the profile of a client's subscription. Bodies of 2023 have its attributes among the subscription's."""
    if "profile" not in attributes:
        own = {name: attributes[name] for name in ("email", "phone_number", "properties") if name in attributes}
        return {"type": "profile", "attributes": own}
    profile = parse_object(attributes["profile"], PROFILE, faults)
    return parse_object(profile.get("data"), f"{PROFILE}/data", faults)


def _parse_other_members(element: Mapping[str, Any], faults: BodyFaults) -> Update:
    """Return the members of an update for the attributes that are no part of the consent."""
    nested = BodyFaults(faults.is_typed)
    attributes = parse_object(element.get("attributes"), "", BodyFaults(faults.is_typed))
    others = {name: value for name, value in attributes.items() if name not in CONSENT_FIELDS}
    members = parse_members(others, element, nested)
    faults.add_nested(PROFILE, nested)
    return members


def _combine_members(members: Update, consent: Update) -> Update:
    """Return the merge patch and the operations of both. Those of the consent come last."""
    profile = merge_patch(members.get("profile", {}), consent.get("profile", {}))
    operations = [*members.get("operations", ()), *consent.get("operations", ())]
    return {name: value for name, value in (("profile", profile), ("operations", operations)) if value}


def _parse_job(request: Request, type: str, consent: str) -> ParsedRequest:
    data, faults = parse_resource(request, type)
    attributes = parse_attributes(data, faults)
    elements = _parse_elements(attributes, consent, faults)
    ids = _parse_list_ids(data, attributes, faults)
    lists = change_lists("add" if consent == SUBSCRIBED else "remove", ids)
    source = parse_text(attributes, "custom_source", faults)
    is_historical = _parse_boolean(attributes, "historical_import", faults)
    if faults:
        raise Refusal(faults)
    parser = _ConsentParser(consent, source, is_historical, request)
    return ParsedRequest(None, [parser.parse(element, lists) for element in elements])


def _parse_boolean(attributes: Mapping[str, Any], name: str, faults: BodyFaults) -> bool:
    """Return a boolean, or its text if leaves have no types. It is false by default."""
    value = attributes.get(name)
    is_text = not faults.is_typed and value in ("true", "false")
    if not (isinstance(value, bool) or is_text or faults.is_empty(value)):
        faults.append(Fault("invalid_parameter", "it must be true or false", f"{ATTRIBUTES}/{name}"))
    return value in (True, "true")


def _parse_list_ids(data: Mapping[str, Any], attributes: Mapping[str, Any], faults: BodyFaults) -> list[str]:
    """Return the ids of the lists. Bodies of 2023 have the only one among the attributes."""
    id = parse_text(attributes, "list_id", faults)
    return parse_related_ids(data, "list", "list", faults) or ([id] if id else [])


def _parse_elements(attributes: Mapping[str, Any], consent: str, faults: BodyFaults) -> list[Any]:
    """Return the profiles of a job. Those of bodies of 2023 are converted to the present form."""
    elements = parse_profiles(attributes, faults)
    elements += [_convert_2023(each, faults) for each in parse_list(attributes.get("subscriptions"), faults)]
    for name, field, channel in (("emails", "email", "email"), ("phone_numbers", "phone_number", "sms")):
        subscriptions = {channel: {"marketing": {"consent": consent}}}
        values = parse_list(attributes.get(name), faults)
        elements += [
            {"type": "profile", "attributes": {field: each, "subscriptions": subscriptions}} for each in values
        ]
    if not 0 < len(elements) <= MAX_PROFILES[consent]:
        detail = f"it must hold 1 to {MAX_PROFILES[consent]} profiles"
        faults.append(Fault("invalid_parameter", detail, PROFILES))
    return elements


def _convert_2023(element: Any, faults: BodyFaults) -> Any:
    """Convert `{"channels": {"email": ["MARKETING"]}, "email", "phone_number", "profile_id"}` to a resource."""
    if not isinstance(element, dict):
        return element
    channels: Any = element.get("channels")
    if isinstance(channels, Mapping):
        channels = {
            channel: {str(kind).lower(): {"consent": SUBSCRIBED} for kind in parse_list(kinds, faults)}
            for channel, kinds in channels.items()
        }
    elif faults.is_empty(channels):
        channels = None
    identifiers = {name: value for name, value in element.items() if name in ("email", "phone_number")}
    attributes = {**identifiers, "subscriptions": channels}
    return {"type": "profile", "id": element.get("profile_id"), "attributes": attributes}


# --- profiles ---


class _Consent(NamedTuple):
    """One consent of a profile: its channel, its kind, and the members of the request."""

    channel: str
    kind: str
    members: Mapping[str, Any]


class _ConsentParser:
    """Parses the profiles of one job, which have the consent, its source and `historical_import` in common."""

    def __init__(self, consent: str, source: str, is_historical: bool, request: Request) -> None:
        self._consent, self._source, self._is_historical = consent, source, is_historical
        self._now, self._is_typed = request.now, request.is_typed

    def parse(self, element: Any, lists: Update) -> ParsedCommand:
        """Return the update of one profile."""
        if not isinstance(element, dict):
            return ParsedCommand(None, [Fault("invalid_parameter", "it must be an object", "/data")])
        faults = BodyFaults(self._is_typed, type_faults(element, "profile", "/data"))
        attributes = parse_profile_attributes(element, faults)
        identifiers = {name: attributes.get(name) for name in ("email", "phone_number")}
        consents = list(self._parse_consents(attributes, faults))
        match = match_identifiers({"id": element.get("id"), **identifiers}, faults)
        update = {**match, **lists, **_parse_profile(attributes, faults)}
        if own := self._own_members(consents):
            update["profile"] = {**update.get("profile", {}), NAMESPACE: own}
        if marketing := [self._subscription(each, identifiers) for each in consents if each.kind == "marketing"]:
            update["subscriptions"] = marketing
        return ParsedCommand(update, faults)

    def _parse_consents(self, attributes: Mapping[str, Any], faults: BodyFaults) -> Iterator[_Consent]:
        """Return each valid consent. Without `subscriptions` it is marketing by e-mail and SMS."""
        subscriptions = attributes.get("subscriptions")
        channels = (
            self._default_channels(attributes)
            if subscriptions is None
            else parse_object(subscriptions, SUBSCRIPTIONS, faults)
        )
        for channel, kinds in channels.items():
            pointer = SUBSCRIPTIONS + join_pointer(channel)
            if channel not in CONSENT_KINDS:
                faults.append(Fault("unknown_field", pointer=pointer))
            elif not attributes.get(identifier := IDENTIFIERS_BY_CHANNEL[channel]):
                faults.append(Fault("missing_parameter", f"{channel} needs it", f"{ATTRIBUTES}/{identifier}"))
            else:
                for kind, members in parse_object(kinds, pointer, faults).items():
                    if self._is_valid(channel, kind, members, faults):
                        yield _Consent(channel, kind, members)

    def _default_channels(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        channels = [each for each in ("email", "sms") if attributes.get(IDENTIFIERS_BY_CHANNEL[each])]
        return {channel: {"marketing": {"consent": self._consent}} for channel in channels}

    def _is_valid(self, channel: str, kind: str, members: Any, faults: BodyFaults) -> bool:
        """Return whether the members of a consent are valid. Adds a fault, unless they are empty."""
        pointer = SUBSCRIPTIONS + join_pointer(channel, kind)
        if kind not in CONSENT_KINDS[channel]:
            faults.append(Fault("unknown_field", pointer=pointer))
        elif faults.is_empty(members):
            return False  # the vendor's contract accepts null, which has no meaning
        elif not isinstance(members, dict) or members.get("consent") != self._consent:
            faults.append(Fault("invalid_parameter", f"it must be {self._consent}", f"{pointer}/consent"))
        elif detail := self._time_fault(members.get("consented_at")):
            faults.append(Fault("invalid_parameter", detail, f"{pointer}/consented_at"))
        else:
            return True
        return False

    def _time_fault(self, consented_at: Any) -> str:
        """Return what is wrong with the time of a consent, or "". Only a historical import has one, in the past."""
        if consented_at in (None, ""):
            return "a historical import needs it" if self._is_historical else ""
        if not self._is_historical:
            return "it is taken with historical_import alone"
        try:
            return "" if parse_time(consented_at) <= self._now else "it must be in the past"
        except (TypeError, ValueError):
            return "it must be a date or time (ISO 8601)"

    def _own_members(self, consents: list[_Consent]) -> dict[str, Any]:
        """Return other kinds of consent. A subscription to e-mail also removes the suppression."""
        others = {each.channel: {each.kind: self._consent} for each in consents if each.kind != "marketing"}
        own: dict[str, Any] = {"consent": others} if others else {}
        if self._consent == SUBSCRIBED and any(each.channel == "email" for each in consents):
            own["suppression"] = None
        return own

    def _subscription(self, consent: _Consent, identifiers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the canonical subscription of a consent to marketing."""
        subscription = {"channel": consent.channel, **_address(consent.channel, identifiers)}
        subscription["status"] = self._consent.lower()
        if date := consent.members.get("consented_at"):
            subscription["date"] = date
        if self._source:
            subscription["custom_fields"] = {"custom_source": self._source}
        return subscription


def _address(channel: str, identifiers: Mapping[str, Any]) -> dict[str, Any]:
    phone = {"phone": identifiers["phone_number"]}
    return {"email": {"email": identifiers["email"]}, "sms": phone}.get(channel, {"cc_data": phone})


def _parse_profile(attributes: Mapping[str, Any], faults: BodyFaults) -> Update:
    """Return the members of an update that add missing addresses and the birthdate."""
    values = {"email": attributes.get("email"), "birthdate": parse_text(attributes, "age_gated_date_of_birth", faults)}
    update: Update = {**REJECT_CONFLICTS, "set_once": ["/email", "/phone_numbers"]}
    if profile := {name: value for name, value in values.items() if value not in (None, "")}:
        update["profile"] = profile
    if phone := attributes.get("phone_number"):
        update["operations"] = [{"function": "set_first", "pointer": "/phone_numbers", "value": [phone]}]
    return update
