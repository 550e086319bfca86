"""Changes of consent as Klaviyo's jobs: on subscriptions without resource to a profile's own addresses."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.consent import ADDRESS_MEMBERS, DELETED, PERMANENT, REASONS, STATUSES, SUPPRESSED, status_word
from gateway.core.matching import subscription_address
from gateway.core.model import Document
from gateway.core.normalization import email, phone
from gateway.core.times import format_time
from gateway.dialects.klaviyo.call_groups import DEFAULT_RATES
from gateway.dialects.outgoing import OutgoingRequest, ProfileState, Rendered

_CHANNELS = ("email", "sms", "whatsapp")
_SUPPRESSING = ("complained", *PERMANENT)


def consent_requests(state: ProfileState, rendered: Rendered) -> Iterator[OutgoingRequest]:
    """Yield a request for each changed status of an address. Opt-outs come first. Resources are not known here."""
    for each in sorted(state.changed("subscriptions"), key=_is_subscribed):
        if each["channel"] == "push":
            continue
        word = status_word(each.get("status"))
        if each["channel"] not in _CHANNELS or "resource_id" in each or DELETED in each or word is None:
            rendered.skip("subscriptions")
            continue
        if word == STATUSES[0] and not (state.is_consent and _is_own(each, state.document)):
            rendered.skip("subscriptions")
            continue
        yield from _requests_of_status(each, word, state)
    for each in state.ended("subscriptions"):
        if _is_subscribed(each) and _ends_consent(each, state):
            yield consent_job(each["channel"], _address(each), None)
        if state.is_consent and _ends_suppression(each, state.document):
            yield suppression_job("delete", _address(each))


def _ends_suppression(subscription: Mapping[str, Any], document: Document) -> bool:
    """Return whether the profile's e-mail address was suppressed, and is no more."""
    now = any(_is_suppressed(each) and _is_own(each, document) for each in document.get("subscriptions", ()))
    return _is_suppressed(subscription) and _is_own(subscription, document) and not now


def _is_suppressed(subscription: Mapping[str, Any]) -> bool:
    return subscription["channel"] == "email" and SUPPRESSED in subscription.get(REASONS, ())


def _ends_consent(subscription: Mapping[str, Any], state: ProfileState) -> bool:
    """Return whether the profile has an address without the subscription that it had: nothing else says that here."""
    if subscription["channel"] not in _CHANNELS or "resource_id" in subscription:
        return False
    now = map(subscription_address, state.document.get("subscriptions", ()))
    return _is_own(subscription, state.document) and subscription_address(subscription) not in now


def _is_subscribed(subscription: Mapping[str, Any]) -> bool:
    return status_word(subscription.get("status")) == STATUSES[0]


def _is_own(subscription: Mapping[str, Any], document: Document) -> bool:
    """Return whether an address is the profile's own. Here another one would be that of another profile."""
    if subscription["channel"] == "email":
        return email(subscription["email"]) == email(document.get("email", ""))
    return phone(_address(subscription)) in map(phone, (document.get("phone_numbers") or [""])[:1])


def _address(subscription: Mapping[str, Any]) -> str:
    member = ADDRESS_MEMBERS.get(subscription["channel"])
    return str(subscription[member] if member else subscription["cc_data"]["phone"])


def _requests_of_status(subscription: Mapping[str, Any], word: str, state: ProfileState) -> Iterator[OutgoingRequest]:
    channel, address = subscription["channel"], _address(subscription)
    is_suppressed = _is_suppressed(subscription) or (channel == "email" and word in _SUPPRESSING)
    if is_suppressed:
        yield suppression_job("create", address)
    if not is_suppressed or word == "unsubscribed":
        date = subscription.get("date")
        yield consent_job(
            channel, address, (date if isinstance(date, int) else state.time) if word == STATUSES[0] else None
        )


def consent_job(channel: str, address: str, consented: int | None) -> OutgoingRequest:
    """Return the job that subscribes an address, at a time (ms), or ends its subscription.

    A consent of the past is subject to no confirmation by e-mail.
    """
    verb, word = ("delete", "UNSUBSCRIBED") if consented is None else ("create", "SUBSCRIBED")
    consent = {"consent": word, **({} if consented is None else {"consented_at": format_time(consented)})}
    attributes = {
        "email" if channel == "email" else "phone_number": address,
        "subscriptions": {channel: {"marketing": consent}},
    }
    job: dict[str, Any] = {"profiles": {"data": [{"type": "profile", "attributes": attributes}]}}
    return _job(f"profile-subscription-bulk-{verb}", job if consented is None else {**job, "historical_import": True})


def suppression_job(verb: str, address: str) -> OutgoingRequest:
    """Return the job that suppresses an address (`create`), or lifts its suppression (`delete`)."""
    profile = {"type": "profile", "attributes": {"email": address}}
    return _job(f"profile-suppression-bulk-{verb}", {"profiles": {"data": [profile]}})


def _job(name: str, attributes: Mapping[str, Any]) -> OutgoingRequest:
    data = {"type": f"{name}-job", "attributes": attributes}
    return OutgoingRequest("POST", f"/api/{name}-jobs", {"data": data}, DEFAULT_RATES)
