"""The consents of one profile, as jobs and forms give them: a canonical update.

Consent to marketing by a channel is the canonical subscription of a channel and an address without a resource. Other
kinds of consent have no counterpart: they are members of the vendor's namespace, by address. Pointers of faults are
those of a resource at `/data`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gateway.core import normalization
from gateway.core.apply import merge_patch
from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.core.times import parse_time
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_object,
    parse_text,
    reject_unknown,
    trim,
    type_faults,
)
from gateway.dialects.klaviyo.push_consents import ALL_TOKENS, PUSH, PushConsent, accepts_push, parse_push
from gateway.dialects.klaviyo.requests import (
    REJECT_CONFLICTS,
    match_identifiers,
    parse_profile_attributes,
    public_attributes,
    reject_empty_identifiers,
)
from gateway.dialects.protocol import ParsedCommand, Request

SUBSCRIBED, UNSUBSCRIBED = "SUBSCRIBED", "UNSUBSCRIBED"

CONSENT_KINDS = {
    "email": ("marketing", "open_tracking"),
    "sms": ("marketing", "transactional"),
    "whatsapp": ("marketing", "transactional"),
    PUSH: ("marketing",),
}
"""The kinds of consent by channel."""

IDENTIFIERS_BY_CHANNEL = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number"}

CONSENT_FIELDS = ("email", "phone_number", "subscriptions", "age_gated_date_of_birth")
"""The attributes of a profile that a consent consists of."""

PROFILE_ATTRIBUTES = {SUBSCRIBED: CONSENT_FIELDS, UNSUBSCRIBED: CONSENT_FIELDS[:3]}
"""The attributes of a profile in a job. The vendor rejects all others, such as names."""

_SUBSCRIPTIONS = f"{ATTRIBUTES}/subscriptions"


class _Consent(NamedTuple):
    """One consent of a profile: its channel, its kind, and the members of the request."""

    channel: str
    kind: str
    members: Mapping[str, Any]


class ConsentParser:
    """Parses the profiles of one job or form, which have the consent, its source and `historical_import` in common."""

    def __init__(
        self, consent: str, source: str, request: Request, *, is_historical: bool = False, is_public: bool = False
    ) -> None:
        self._consent, self._source = consent, source
        self._is_historical, self._is_public = is_historical, is_public
        self._now, self._is_typed = request.now, request.is_typed
        self._accepts_push = consent == SUBSCRIBED and not is_public and accepts_push(request)
        self.registrations: list[ParsedCommand] = []

    def parse(self, element: Any, lists: Update) -> ParsedCommand:
        """Return the update of one profile."""
        if not isinstance(element, dict):
            return ParsedCommand(None, [Fault("invalid_parameter", "it must be an object", "/data")])
        faults = BodyFaults(self._is_typed, type_faults(element, "profile", "/data"))
        attributes = parse_profile_attributes(element, faults)
        if self._is_public:
            attributes = public_attributes(attributes)
        else:
            reject_empty_identifiers(element, attributes, faults)
            reject_unknown(attributes, PROFILE_ATTRIBUTES[self._consent], ATTRIBUTES, faults)
        identifiers = {name: attributes.get(name) for name in ("email", "phone_number")}
        consents = list(self._parse_consents(attributes, faults))
        push = self._parse_push(attributes, faults)
        more = {"anonymous_id": push.anonymous_id} if push and push.anonymous_id else {}
        match = match_identifiers({"id": element.get("id"), **identifiers, **more}, faults)
        update = {**match, **lists, **_parse_profile(attributes, faults)}
        update |= self._marketing([each for each in consents if each.kind == "marketing"], identifiers)
        kinds: Update = {}
        for consent in consents:
            if consent.kind != "marketing":
                self._add_kind(kinds, consent, _normal_address(consent.channel, identifiers))
        if push:
            self._add_kind(kinds, _Consent(PUSH, "marketing", push.marketing), ALL_TOKENS)
        _combine(update, kinds)
        if self._is_historical and consents:
            update["observed"] = max(parse_time(each.members["consented_at"]) for each in consents)
        if self._consent == UNSUBSCRIBED:
            update["match"] = {**update["match"], "on_multiple": "addresses"}
            update |= {"every_owner": shared} if (shared := {**kinds, **lists}) else {}
        if push:
            self._add_push(update, match, push, identifiers)
        return ParsedCommand(update, faults)

    def _parse_push(self, attributes: Mapping[str, Any], faults: BodyFaults) -> PushConsent | None:
        channels = attributes.get("subscriptions")
        if not self._accepts_push or not isinstance(channels, dict):
            return None
        push = parse_push(channels.get(PUSH), faults)
        return push if push and self._is_valid(PUSH, "marketing", push.marketing, faults) else None

    def _add_push(self, update: Update, match: Update, push: PushConsent, identifiers: Mapping[str, Any]) -> None:
        """Add the anonymous id to an update, and each token as an update of its own.

        Addresses that are invalid have faults in the update of the profile, which rejects the job. They have no others.
        """
        if push.anonymous_id:
            own = {NAMESPACE: {"anonymous_id": push.anonymous_id}}
            update["profile"] = merge_patch(update.get("profile", {}), own)
            update["set_once"] = [*update["set_once"], f"/{NAMESPACE}/anonymous_id"]
        if not _are_valid(identifiers):
            return
        self.registrations += [ParsedCommand({**match, **REJECT_CONFLICTS, **each}) for each in push.registrations]

    def _parse_consents(self, attributes: Mapping[str, Any], faults: BodyFaults) -> Iterator[_Consent]:
        """Return each valid consent. Without `subscriptions` it is marketing by e-mail and SMS."""
        subscriptions = attributes.get("subscriptions")
        channels = (
            self._default_channels(attributes)
            if subscriptions is None
            else parse_object(subscriptions, _SUBSCRIPTIONS, faults)
        )
        for channel, kinds in channels.items():
            if self._has_address(channel, attributes, faults):
                pointer = _SUBSCRIPTIONS + join_pointer(channel)
                for kind, sent in parse_object(kinds, pointer, faults).items():
                    members = sent if self._is_typed or not isinstance(sent, dict) else _trim_members(sent)
                    if self._is_valid(channel, kind, members, faults):
                        yield _Consent(channel, kind, members)

    def _has_address(self, channel: str, attributes: Mapping[str, Any], faults: BodyFaults) -> bool:
        """Return whether a channel has an address, which is there. Push has none."""
        if channel == PUSH and self._accepts_push:
            return False
        if channel not in IDENTIFIERS_BY_CHANNEL:
            faults.append(Fault("unknown_field", pointer=_SUBSCRIPTIONS + join_pointer(channel)))
            return False
        identifier = IDENTIFIERS_BY_CHANNEL[channel]
        if attributes.get(identifier) is None:
            faults.append(Fault("missing_parameter", f"{channel} needs it", f"{ATTRIBUTES}/{identifier}"))
        return attributes.get(identifier) not in (None, "")

    def _default_channels(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        channels = [each for each in ("email", "sms") if attributes.get(IDENTIFIERS_BY_CHANNEL[each])]
        return {channel: {"marketing": {"consent": self._consent}} for channel in channels}

    def _is_valid(self, channel: str, kind: str, members: Any, faults: BodyFaults) -> bool:
        """Return whether the members of a consent are valid. Adds a fault, unless they are empty."""
        pointer = _SUBSCRIPTIONS + join_pointer(channel, kind)
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

    def _marketing(self, consents: list[_Consent], identifiers: Mapping[str, Any]) -> Update:
        """Return the subscriptions of consents to marketing. Where the request gives no time, it is the change's."""
        subscriptions = [self._subscription(each, identifiers) for each in consents]
        is_dated = self._consent == SUBSCRIBED
        places = [f"/subscriptions/{index}/date" for index, each in enumerate(subscriptions) if "date" not in each]
        members = {"subscriptions": subscriptions, "timestamps": places if is_dated else []}
        return {name: value for name, value in members.items() if value}

    def _add_kind(self, update: Update, consent: _Consent, address: str) -> None:
        """Add another kind of consent to an update: a member of the vendor's namespace, by address."""
        path = (NAMESPACE, "consent", consent.channel, consent.kind, address)
        own: Any = {"consent": self._consent}
        if date := consent.members.get("consented_at"):
            own["timestamp"] = parse_time(date)
        else:
            update["timestamps"] = [*update.get("timestamps", ()), join_pointer(*path, "timestamp")]
        for name in reversed(path):
            own = {name: own}
        update["profile"] = merge_patch(update.get("profile", {}), own)

    def _subscription(self, consent: _Consent, identifiers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the canonical subscription of a consent to marketing."""
        subscription = {"channel": consent.channel, **_address(consent.channel, identifiers)}
        subscription["status"] = self._consent.lower()
        if date := consent.members.get("consented_at"):
            subscription["date"] = date
        if self._source:
            subscription["custom_fields"] = {"custom_source": self._source}
        return subscription


def _trim_members(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a consent of XML, which are a word and a time, without the white space around them."""
    return {name: trim(value) for name, value in members.items()}


def _combine(update: Update, more: Update) -> None:
    """Add the merge patch and the timestamps of another update."""
    if more:
        update["profile"] = merge_patch(update.get("profile", {}), more["profile"])
        update["timestamps"] = [*update.get("timestamps", ()), *more.get("timestamps", ())]


def _are_valid(identifiers: Mapping[str, Any]) -> bool:
    normal_forms = {"email": normalization.email, "phone_number": normalization.phone}
    given = {name: value for name, value in identifiers.items() if value is not None}
    return all(isinstance(value, str) and normal_forms[name](value) for name, value in given.items())


def _normal_address(channel: str, identifiers: Mapping[str, Any]) -> str:
    """Return the address of a channel in normal form. An invalid one, which has a fault, stays as it is."""
    text = str(identifiers[IDENTIFIERS_BY_CHANNEL[channel]])
    return (normalization.email(text) if channel == "email" else normalization.phone(text)) or text


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
