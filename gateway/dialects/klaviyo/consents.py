"""The `subscriptions` attribute of a profile: its consent by channel, at the addresses that it has now.

Consent to marketing is the canonical subscription of a channel and an address without a resource. Its status is the
strictest that applies, and its `reasons` are the facts about the address. Other kinds are in the vendor's namespace.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.core import normalization
from gateway.core.consent import DELETED, OWN_STATUS, REASONS, address_of, status_word
from gateway.core.model import Document, Profile
from gateway.core.times import parse_time
from gateway.dialects.klaviyo.consent_parser import SUBSCRIBED, UNSUBSCRIBED
from gateway.dialects.klaviyo.devices import render_device, tokens_of
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.push_consents import ALL_TOKENS, PUSH
from gateway.dialects.klaviyo.times import render_time

NEVER_SUBSCRIBED = "NEVER_SUBSCRIBED"

CONSENTS = {
    "subscribed": SUBSCRIBED,
    **dict.fromkeys(("unsubscribed", "complained", "unconfirmed", "suspended"), UNSUBSCRIBED),
}
"""The vendor's consent by the status of a subscription. A status that is only a fact about the address has none."""

OPT_OUTS = ("unsubscribed", "complained")
SUPPRESSIONS = {
    "suppressed": "USER_SUPPRESSED",
    "hardbounced": "HARD_BOUNCE",
    "complained": "SPAM_COMPLAINT",
    "invalid": "INVALID_EMAIL",
}
"""The vendor's reason of a suppression by the reason that forbids messages."""

RECEIVING_STATES = ("AUTHORIZED", "PROVISIONAL")
"""The states of a push token that messages reach."""


class _ConsentView(NamedTuple):
    """The consent to marketing at one address. `reasons` forbid messages, each since a time in milliseconds."""

    consent: str
    timestamp: str | None
    source: str | None
    reasons: Mapping[str, int]


def render_consents(profile: Profile) -> dict[str, Any]:
    """Return the consent of a profile to each channel. Its document is the effective one."""
    document = profile.document
    email, phone = normal_addresses(document)
    is_active = _is_active(document)
    return {
        "email": _render_email(profile, email, is_active),
        "sms": _render_sms(profile, phone, is_active),
        "mobile_push": _render_push(profile, is_active),
        "whatsapp": _render_whatsapp(profile, phone, is_active),
    }


def normal_addresses(document: Document) -> tuple[str | None, str | None]:
    """Return the e-mail address and the first phone of a profile in normal form."""
    phones = document.get("phone_numbers")
    email, phone = document.get("email"), phones[0] if isinstance(phones, list) and phones else None
    return (
        normalization.email(email) if isinstance(email, str) else None,
        normalization.phone(phone) if isinstance(phone, str) else None,
    )


def _is_active(document: Document) -> bool:
    """Return whether no global status of Altcraft's forbids messages to the profile."""
    return status_word(document.get("altcraft", {}).get("_status")) in (None, "subscribed")


# --- channels ---


def _render_email(profile: Profile, address: str | None, is_active: bool) -> dict[str, Any]:
    consent = _marketing_consent(profile, "email", address)
    suppressions = [
        {"reason": SUPPRESSIONS[reason], "timestamp": render_time(time)}
        for reason, time in sorted(consent.reasons.items())
        if reason in SUPPRESSIONS
    ]
    can_receive = is_active and consent.consent != UNSUBSCRIBED and not suppressions
    lists = {"suppression": suppressions, "list_suppressions": []}
    marketing = {"can_receive_email_marketing": can_receive, **_render_marketing(consent), **lists}
    opened = _kind(profile.document, "email", "open_tracking", address)
    return {"marketing": marketing, **({"open_tracking": _render_kind(opened, is_active)} if opened else {})}


def _render_sms(profile: Profile, address: str | None, is_active: bool) -> dict[str, Any]:
    consent = _marketing_consent(profile, "sms", address)
    can_receive = is_active and consent.consent == SUBSCRIBED and not consent.reasons
    marketing = {"can_receive_sms_marketing": can_receive, **_render_marketing(consent)}
    kind = _kind(profile.document, "sms", "transactional", address)
    if not kind:
        return {"marketing": marketing}
    can_receive = is_active and kind["consent"] == SUBSCRIBED
    times = {"consent": kind["consent"], "consent_timestamp": _render_date(kind.get("timestamp"))}
    return {"marketing": marketing, "transactional": {"can_receive_sms_transactional": can_receive, **times}}


def _render_whatsapp(profile: Profile, address: str | None, is_active: bool) -> dict[str, Any] | None:
    channel: dict[str, Any] = {}
    consent = _marketing_consent(profile, "whatsapp", address)
    if consent.consent != NEVER_SUBSCRIBED or consent.reasons:
        can_receive = is_active and consent.consent == SUBSCRIBED and not consent.reasons
        times = {"consent": consent.consent, "consent_timestamp": consent.timestamp}
        channel["marketing"] = {**times, "can_receive": can_receive, "phone_number": address}
    if kind := _kind(profile.document, "whatsapp", "transactional", address):
        channel["transactional"] = {**_render_kind(kind, is_active), "phone_number": address}
    return channel or None


def _render_push(profile: Profile, is_active: bool) -> dict[str, Any] | None:
    """Return the consent to mobile push: the states of the tokens express it."""
    devices = [render_device(token, profile) for token in tokens_of(profile.document)]
    kind = _kind(profile.document, PUSH, "marketing", ALL_TOKENS)
    if not devices:
        return {"marketing": _render_push_kind(kind, can_receive=False)} if kind else None
    forbidden = _forbidden_tokens(profile.document)
    enabled = [each for each in devices if each["enablement_status"] in RECEIVING_STATES]
    receiving = [each for each in enabled if each["token"] not in forbidden]
    consent = {
        "consent": SUBSCRIBED if receiving else UNSUBSCRIBED,
        "timestamp": max(each["recorded_date"] for each in receiving or devices),
    }
    return {"marketing": _render_push_kind(consent, can_receive=is_active and bool(receiving))}


def _render_push_kind(kind: Mapping[str, Any], *, can_receive: bool) -> dict[str, Any]:
    time = _render_date(kind.get("timestamp"))
    return {"can_receive_push_marketing": can_receive, "consent": kind["consent"], "consent_timestamp": time}


def _forbidden_tokens(document: Document) -> set[str]:
    """Return the push tokens whose subscription without a resource has a status that forbids messages."""
    subscriptions = (each for each in document.get("subscriptions", ()) if each["channel"] == "push")
    return {
        each["subscription_id"]
        for each in subscriptions
        if "resource_id" not in each and status_word(each.get("status")) not in (None, "subscribed")
    }


# --- marketing ---


def _marketing_consent(profile: Profile, channel: str, address: str | None) -> _ConsentView:
    """Return the consent of an address of the profile, from its subscription without a resource."""
    subscription = _subscription(profile.document.get("subscriptions", ()), channel, address)
    status = status_word(subscription.get("status"))
    reasons = dict(subscription.get(REASONS, {}))
    own = status_word(subscription.get(OWN_STATUS)) if reasons else status
    if status in SUPPRESSIONS and status not in reasons:
        reasons[status] = profile.updated
    opt_outs = [reasons[reason] for reason in OPT_OUTS if reason in reasons]
    consent = UNSUBSCRIBED if opt_outs else CONSENTS.get(own or "", NEVER_SUBSCRIBED)
    date = max(opt_outs) if opt_outs else subscription.get("date")
    source = subscription.get("custom_fields", {}).get("custom_source")
    return _ConsentView(consent, _render_date(date), source if isinstance(source, str) else None, reasons)


def _subscription(subscriptions: Iterable[Mapping[str, Any]], channel: str, address: str | None) -> Mapping[str, Any]:
    """Return the subscription of an address without a resource, {} if there is none."""
    wanted = f"{channel}:{address}" if address else None
    own = (
        each
        for each in subscriptions
        if each["channel"] == channel and "resource_id" not in each and DELETED not in each
    )
    return next((each for each in own if address_of(each) == wanted), {})


def _render_marketing(consent: _ConsentView) -> dict[str, Any]:
    """Return the members of a consent that e-mail and SMS have in common."""
    return {
        "consent": consent.consent,
        "consent_timestamp": consent.timestamp,
        "method": "API" if consent.source else None,
        "method_detail": consent.source,
    }


# --- other kinds ---


def _kind(document: Document, channel: str, kind: str, address: str | None) -> Mapping[str, Any] | None:
    """Return another kind of consent at an address: its `consent` and perhaps its `timestamp`."""
    stored = document.get(NAMESPACE, {}).get("consent", {}).get(channel, {}).get(kind)
    if isinstance(stored, str):  # stored by an earlier version, for whichever address the profile has
        return {"consent": stored}
    found: Mapping[str, Any] | None = stored.get(address) if stored else None
    return found


def _render_kind(kind: Mapping[str, Any], is_active: bool) -> dict[str, Any]:
    time = _render_date(kind.get("timestamp"))
    can_receive = is_active and kind["consent"] == SUBSCRIBED
    return {"consent": kind["consent"], "consent_timestamp": time, "can_receive": can_receive}


def _render_date(date: Any) -> str | None:
    """Return the time of a consent: milliseconds, or text that keeps its fraction of a second."""
    if isinstance(date, int):
        return render_time(date)
    return datetime.fromtimestamp(parse_time(date) / 1000, UTC).isoformat() if isinstance(date, str) else None
