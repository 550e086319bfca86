"""Back-in-stock subscriptions: a profile waits for a catalog variant. It is no consent to marketing.

Source: the vendor's OpenAPI, revision 2026-07-15.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.events import parse_profile
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_attributes,
    parse_list,
    parse_related_ids,
    parse_resource,
    reject_unknown,
    trim,
)
from gateway.dialects.klaviyo.requests import PROFILE
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

CHANNELS = ("EMAIL", "PUSH", "SMS", "WHATSAPP")
VARIANT = "/data/relationships/variant/data"


def parse_creation(request: Request) -> ParsedRequest:
    """Parse `POST /api/back-in-stock-subscriptions`, which imports the profile."""
    return _parse(request, is_public=False)


def parse_client_creation(request: Request) -> ParsedRequest:
    """Parse `POST /client/back-in-stock-subscriptions`: the same, but it moves and replaces no identifier."""
    return _parse(request, is_public=True)


def _parse(request: Request, *, is_public: bool) -> ParsedRequest:
    data, faults = parse_resource(request, "back-in-stock-subscription")
    attributes = parse_attributes(data, faults)
    reject_unknown(attributes, ("channels", "profile"), ATTRIBUTES, faults)
    channels = _parse_channels(attributes, faults)
    variants = parse_related_ids(data, "variant", "catalog-variant", faults)
    if len(variants) != 1 and not any(fault.pointer.startswith(VARIANT) for fault in faults):
        faults.append(Fault("missing_parameter", "it must name one variant", VARIANT))
    if attributes.get("profile") is None:
        faults.append(Fault("missing_parameter", "it is missing", PROFILE))
        raise Refusal(faults)
    update = parse_profile(attributes, faults, is_public=is_public)
    if faults:
        raise Refusal(faults)
    place = join_pointer(NAMESPACE, "back_in_stock", variants[0])
    operation = {"function": "set", "pointer": place, "value": {"channels": channels}}
    operations = [*update.get("operations", ()), operation]
    return ParsedRequest(
        None, [ParsedCommand({**update, "operations": operations, "timestamps": [f"{place}/created"]})]
    )


def _parse_channels(attributes: Mapping[str, Any], faults: BodyFaults) -> list[Any]:
    pointer = f"{ATTRIBUTES}/channels"
    channels = [trim(each) for each in parse_list(attributes.get("channels"), faults)]
    if not channels:
        faults.append(Fault("missing_parameter", "it must hold a channel", pointer))
    faults += [
        Fault("invalid_parameter", f"it must be one of {', '.join(CHANNELS)}", f"{pointer}/{index}")
        for index, each in enumerate(channels)
        if each not in CHANNELS
    ]
    return channels if faults else list(dict.fromkeys(channels))
