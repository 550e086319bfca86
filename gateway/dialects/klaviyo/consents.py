"""The consent of a profile as the vendor shows it: `subscriptions`, which is shown where it is asked for.

Marketing by a channel is the canonical subscription of no resource; a suppression is this vendor's own.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.model import Document
from gateway.dialects.klaviyo.times import shown_time, time_in

CONSENT = {"subscribed": "SUBSCRIBED", "unsubscribed": "UNSUBSCRIBED", 1: "SUBSCRIBED", 2: "UNSUBSCRIBED"}


def subscribed(document: Document) -> dict[str, Any]:
    """By channel, what the profile consents to."""
    suppression = document.get("klaviyo", {}).get("suppression")
    suppressions = [{**suppression, "timestamp": shown_time(suppression["timestamp"])}] if suppression else []
    email, sms = _marketing(document, "email"), _marketing(document, "sms")
    suppressed = {"suppression": suppressions, "list_suppressions": []}
    may_mail = email["consent"] != "UNSUBSCRIBED" and not suppressions
    return {
        "email": {"marketing": {"can_receive_email_marketing": may_mail, **email, **suppressed}},
        "sms": {"marketing": {"can_receive_sms_marketing": sms["consent"] == "SUBSCRIBED", **sms}},
        "mobile_push": None,
        "whatsapp": None,
    }


def _marketing(document: Document, channel: str) -> dict[str, Any]:
    own = (each for each in document.get("subscriptions", ()) if each["channel"] == channel)
    one: Mapping[str, Any] = next((each for each in own if "resource_id" not in each), {})
    consent = CONSENT.get(one.get("status", ""), "NEVER_SUBSCRIBED")
    return {"consent": consent, "consent_timestamp": _time(one.get("date")), "method": None, "method_detail": None}


def _time(date: Any) -> str | None:
    """When consent was given, as the vendor spells times."""
    if isinstance(date, int):
        return shown_time(date)
    return datetime.fromtimestamp(time_in(date) / 1000, UTC).isoformat() if isinstance(date, str) else None
