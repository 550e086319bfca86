"""A canonical subscription as Altcraft's replies show it: flat, or in the full form of `profiles/get`."""

from collections.abc import Mapping
from hashlib import md5, sha256
from typing import Any

from gateway.core.consent import DELETED, INTERNAL_MEMBERS, address_of, resource_key
from gateway.core.repeated import Repeated

ADDRESS_MEMBERS = ("email", "phone", "provider", "subscription_id", "cc_data", "field_name", "field_value")
DEFAULT_STATUS = "subscribed"
"""The status that a subscription to a resource has if none is stored: the vendor's subscriptions always have one."""


def flat_subscription(subscription: Mapping[str, Any]) -> dict[str, Any]:
    """Return a subscription as the calls on subscriptions show it."""
    flat = {name: subscription[name] for name in ("resource_id", "channel", *ADDRESS_MEMBERS) if name in subscription}
    flat["priority"] = subscription.get("priority", 0)
    if (status := _status(subscription)) is not None:
        flat["status"] = status
    flat["custom_fields"] = subscription.get("custom_fields", {})
    return {**flat, "cats": Repeated(subscription["cats"])} if "cats" in subscription else flat


def full_subscription(subscription: Mapping[str, Any], created: str) -> dict[str, Any]:
    """Return a subscription as `profiles/get` shows it. Its flat members stand beside the nested ones.

    `created` is when its profile was created.
    """
    full = dict(subscription)
    for name in INTERNAL_MEMBERS:
        full.pop(name, None)
    full["priority"] = subscription.get("priority", 0)
    if (status := _status(subscription)) is not None:
        full["status"] = status
    if nested := _ADDRESS_OBJECTS.get(subscription["channel"]):
        full |= nested(subscription)
    full["hash_id"] = hash_id(subscription)
    full["is_delete"] = DELETED in subscription
    full["reg_info"] = origin = {"date": subscription.get("date", created)}
    for name in ("ip", "url"):
        if name in subscription:
            origin[name] = subscription[name]
    return full


def hash_id(subscription: Mapping[str, Any]) -> str:
    """Return the id of a subscription within its profile: 8 hexadecimal digits of a hash of resource and address."""
    return sha256(f"{resource_key(subscription)}/{address_of(subscription)}".encode()).hexdigest()[:8]


def email_domain(email: str) -> str:
    return email.rpartition("@")[2].lower()


def email_hash(email: str) -> str:
    """Return the MD5 of an address in lower case: a name of the address, which protects nothing."""
    return md5(email.lower().encode(), usedforsecurity=False).hexdigest()


def _status(subscription: Mapping[str, Any]) -> Any:
    return subscription.get("status", DEFAULT_STATUS if "resource_id" in subscription else None)


def _email_data(subscription: Mapping[str, Any]) -> dict[str, Any]:
    email = subscription["email"]
    hashed = {"domain": email_domain(email), "domain_group": "other", "md5": email_hash(email)}
    return {"email_data": {"email": email, **hashed}}


def _phone_data(subscription: Mapping[str, Any]) -> dict[str, Any]:
    return {"phone_data": {"phone": subscription["phone"]}}


def _push_data(subscription: Mapping[str, Any]) -> dict[str, Any]:
    return {"push_data": {name: subscription[name] for name in ("subscription_id", "provider")}}


_ADDRESS_OBJECTS = {
    "email": _email_data,
    "sms": _phone_data,
    "push": _push_data,
}
"""By channel: the object that the vendor's replies have an address in."""
