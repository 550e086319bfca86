"""The `subscriptions` attribute of a profile: its consent by channel.

Consent to marketing is the canonical subscription of a channel without a resource. A suppression is this vendor's own.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.model import Document
from gateway.core.times import parse_time
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.times import render_time

CONSENTS = {"subscribed": "SUBSCRIBED", "unsubscribed": "UNSUBSCRIBED", 1: "SUBSCRIBED", 2: "UNSUBSCRIBED"}
"""The vendor's consent by the status of a subscription."""


def render_consents(document: Document) -> dict[str, Any]:
    """Return the consent of a profile to each channel."""
    suppression = document.get(NAMESPACE, {}).get("suppression")
    suppressions = [{**suppression, "timestamp": render_time(suppression["timestamp"])}] if suppression else []
    email, sms = _render_marketing(document, "email"), _render_marketing(document, "sms")
    can_email = email["consent"] != "UNSUBSCRIBED" and not suppressions
    email |= {"suppression": suppressions, "list_suppressions": []}
    return {
        "email": {"marketing": {"can_receive_email_marketing": can_email, **email}},
        "sms": {"marketing": {"can_receive_sms_marketing": sms["consent"] == "SUBSCRIBED", **sms}},
        "mobile_push": None,
        "whatsapp": None,
    }


def _render_marketing(document: Document, channel: str) -> dict[str, Any]:
    subscriptions = (each for each in document.get("subscriptions", ()) if each["channel"] == channel)
    marketing: Mapping[str, Any] = next((each for each in subscriptions if "resource_id" not in each), {})
    consent = CONSENTS.get(marketing.get("status", ""), "NEVER_SUBSCRIBED")
    time = _render_date(marketing.get("date"))
    return {"consent": consent, "consent_timestamp": time, "method": None, "method_detail": None}


def _render_date(date: Any) -> str | None:
    """Return the time of a consent: milliseconds, or text that keeps its fraction of a second."""
    if isinstance(date, int):
        return render_time(date)
    return datetime.fromtimestamp(parse_time(date) / 1000, UTC).isoformat() if isinstance(date, str) else None
