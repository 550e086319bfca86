"""Subscription jobs: profiles that consent to marketing by a channel, or no longer consent.

A job has many profiles and is applied whole or not at all; a form of a browser has one.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.apply import merge_patch
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.bodies_of_2023 import check_address, convert_addresses, convert_subscriptions
from gateway.dialects.klaviyo.consent_parser import CONSENT_FIELDS, SUBSCRIBED, UNSUBSCRIBED, ConsentParser
from gateway.dialects.klaviyo.errors import LIST
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_attributes,
    parse_boolean,
    parse_object,
    parse_related_ids,
    parse_resource,
    parse_text,
    reject_unknown,
)
from gateway.dialects.klaviyo.lists import change_lists
from gateway.dialects.klaviyo.requests import (
    CLIENT_RULES,
    PROFILE,
    PROFILES,
    parse_members,
    parse_profiles,
    public_attributes,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

MAX_PROFILES = {SUBSCRIBED: 1000, UNSUBSCRIBED: 100}
"""Profiles in one job, by the consent that it gives them."""

_ELEMENTS = ("profiles", "subscriptions", "list_id", "emails", "phone_numbers")
JOB_ATTRIBUTES = {SUBSCRIBED: (*_ELEMENTS, "custom_source", "historical_import"), UNSUBSCRIBED: _ELEMENTS}
"""The attributes of a job. Only bodies of 2023 have others than `profiles`, `custom_source` and `historical_import`."""


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
        faults.append(Fault("missing_parameter", "it is missing", LIST))
    source = parse_text(attributes, "custom_source", faults)
    parser = ConsentParser(SUBSCRIBED, source, request, is_public=True)
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
        for name in ("email", "phone_number"):
            if attributes.get(name) not in (None, ""):
                check_address(name, attributes[name], f"{ATTRIBUTES}/{name}", faults)
        if faults:
            raise Refusal(faults)
        return {"type": "profile", "attributes": own}
    profile = parse_object(attributes["profile"], PROFILE, faults)
    return parse_object(profile.get("data"), f"{PROFILE}/data", faults)


def _parse_other_members(element: Mapping[str, Any], faults: BodyFaults) -> Update:
    """Return the members of an update for the attributes that are no part of the consent."""
    nested = BodyFaults(faults.is_typed)
    attributes = public_attributes(parse_object(element.get("attributes"), "", BodyFaults(faults.is_typed)))
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
    reject_unknown(attributes, JOB_ATTRIBUTES[consent], ATTRIBUTES, faults)
    elements = _parse_elements(attributes, consent, faults)
    ids = _parse_list_ids(data, attributes, faults)
    lists = change_lists("add" if consent == SUBSCRIBED else "remove", ids)
    source = parse_text(attributes, "custom_source", faults)
    is_historical = parse_boolean(attributes, "historical_import", faults)
    parser = ConsentParser(consent, source, request, is_historical=is_historical)
    commands = [parser.parse(element, lists) for element in elements]
    if faults:
        for index, command in enumerate(commands):
            faults.add_nested(join_pointer("updates", index), command.faults)
        raise Refusal(faults)
    return ParsedRequest(None, [*commands, *parser.registrations])


def _parse_list_ids(data: Mapping[str, Any], attributes: Mapping[str, Any], faults: BodyFaults) -> list[str]:
    """Return the ids of the lists. Bodies of 2023 have the only one among the attributes."""
    id = parse_text(attributes, "list_id", faults)
    return parse_related_ids(data, "list", "list", faults) or ([id] if id else [])


def _parse_elements(attributes: Mapping[str, Any], consent: str, faults: BodyFaults) -> list[Any]:
    """Return the profiles of a job. Those of bodies of 2023 are converted to the present form."""
    elements = parse_profiles(attributes, faults)
    older = BodyFaults(faults.is_typed)
    elements += convert_subscriptions(attributes, older)
    elements += convert_addresses(attributes, consent, older)
    if older:  # the present form has the same faults at places that the body does not have
        raise Refusal([*faults, *older])
    if not 0 < len(elements) <= MAX_PROFILES[consent]:
        detail = f"it must hold 1 to {MAX_PROFILES[consent]} profiles"
        faults.append(Fault("invalid_parameter", detail, PROFILES))
    return elements
