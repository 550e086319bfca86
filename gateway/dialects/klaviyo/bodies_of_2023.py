"""Profiles of jobs in the forms of the revisions of 2022 and 2023, converted to the present form.

Faults are at the members of the body as it was sent.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core import normalization
from gateway.core.excerpt import excerpt
from gateway.core.faults import Fault
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.consent_parser import SUBSCRIBED
from gateway.dialects.klaviyo.errors import PHONE_FORMAT
from gateway.dialects.klaviyo.jsonapi.documents import ATTRIBUTES, BodyFaults, parse_list, reject_unknown

SUBSCRIPTION_MEMBERS = ("channels", "email", "phone_number", "profile_id")
_LISTS = {"emails": ("email", "email"), "phone_numbers": ("phone_number", "sms")}
"""By list of addresses: the attribute of a profile, and the channel."""


def convert_subscriptions(attributes: Mapping[str, Any], faults: BodyFaults) -> list[Any]:
    """Convert each `{"channels": {"email": ["MARKETING"]}, "email", "phone_number", "profile_id"}` to a resource."""
    elements = parse_list(attributes.get("subscriptions"), faults)
    return [_convert(element, index, faults) for index, element in enumerate(elements)]


def _convert(element: Any, index: int, faults: BodyFaults) -> Any:
    if not isinstance(element, dict):
        return element
    pointer = join_pointer("data", "attributes", "subscriptions", index)
    reject_unknown(element, SUBSCRIPTION_MEMBERS, pointer, faults)
    identifiers = {name: element[name] for name in ("email", "phone_number") if element.get(name) is not None}
    for name, value in identifiers.items():
        check_address(name, value, pointer + join_pointer(name), faults)
    id = element.get("profile_id")
    if not isinstance(id, str | None):
        faults.append(Fault("invalid_parameter", "it must be a string", f"{pointer}/profile_id"))
    attributes = {**identifiers, "subscriptions": _convert_channels(element.get("channels"), faults)}
    return {"type": "profile", "id": id or None, "attributes": attributes}


def _convert_channels(channels: Any, faults: BodyFaults) -> Any:
    if isinstance(channels, Mapping):
        return {
            channel: {str(kind).lower(): {"consent": SUBSCRIBED} for kind in parse_list(kinds, faults)}
            for channel, kinds in channels.items()
        }
    return None if faults.is_empty(channels) else channels


def convert_addresses(attributes: Mapping[str, Any], consent: str, faults: BodyFaults) -> list[Any]:
    """Convert the lists `emails` and `phone_numbers` to resources with one consent."""
    elements = []
    for name, (field, channel) in _LISTS.items():
        for index, value in enumerate(parse_list(attributes.get(name), faults)):
            check_address(field, value, ATTRIBUTES + join_pointer(name, index), faults)
            consents = {channel: {"marketing": {"consent": consent}}}
            elements.append({"type": "profile", "attributes": {field: value, "subscriptions": consents}})
    return elements


def check_address(name: str, value: Any, pointer: str, faults: BodyFaults) -> None:
    """Add a fault if a value is no e-mail address or phone number. `name` is the attribute."""
    normal = normalization.email if name == "email" else normalization.phone
    if not isinstance(value, str) or normal(value) is None:
        detail = f"{excerpt(value)} is not an e-mail address" if name == "email" else PHONE_FORMAT
        faults.append(Fault("invalid_parameter", detail, pointer))
