"""Changes of profiles as Altcraft's requests. Bodies have the same trees in XML and JSON."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from gateway.core.consent import DELETED, INTERNAL_MEMBERS, STATUSES, status_word
from gateway.core.journal import LAST_STARTS
from gateway.core.matching import subscription_address
from gateway.core.model import Tree
from gateway.dialects.altcraft.calls import ROOT, START_PATHS
from gateway.dialects.altcraft.fields import DATA_NAMES, FIELDS
from gateway.dialects.altcraft.outgoing_batches import MAX_ELEMENTS, batch_key, join_requests, parse_rows
from gateway.dialects.altcraft.requests import SEGMENT_PARAMETERS
from gateway.dialects.altcraft.starts import ID_PARAMETERS
from gateway.dialects.altcraft.subscription_calls import ADDRESS_MEMBERS
from gateway.dialects.outgoing import (
    Batches,
    Outgoing,
    OutgoingRequest,
    Path,
    ProfileState,
    Rendered,
    Target,
    VendorAnswer,
)

UNSET: Mapping[str, str] = {"action": "unset"}
GENDERS = ("male", "female", 0, 1, 2)

_NAMES: Mapping[Path, str] = {path: name for name, path in FIELDS.items()}
_MEMBERS = ("subscriptions", "segments", LAST_STARTS)
"""Members of a document that are not in the fields of a profile, and are sent beside them."""

_REFUSED_FIELD = re.compile(r'field "([^".]+)')


def headers(secret: str) -> Mapping[str, str]:
    """Return the headers that have the token."""
    return {"authorization": f"Bearer {secret}"}


def render_change(state: ProfileState, target: Target) -> Rendered:
    """Return the request that imports the touched members, and those that delete subscriptions."""
    rendered = Rendered()
    match = _render_match(state, target)
    if not match:
        rendered.skip()
        return rendered
    data = _render_fields(state, rendered)
    if target.id_field and not state.vendor_id:
        data[target.id_field] = match["field_value"]
    parameters: dict[str, Any] = {**match, "data": data}
    if ("subscriptions",) in state.touched:
        data["subscriptions"] = _render_subscriptions(state, target, rendered)
    if ("segments",) in state.touched:
        parameters |= _render_segments(state, target, rendered)
    if not state.triggers:
        parameters["skip_triggers"] = True
    parameters["skip_invalid_subscriptions"] = False
    if (LAST_STARTS,) in state.touched:
        rendered.requests += _render_starts(state, parameters, target)
    if not rendered.requests:
        call = "profiles/update" if state.vendor_id else "profiles/import"
        rendered.requests.append(_request(call, parameters, target))
    rendered.requests += _render_deletions(state, target)
    return rendered


def render_removal(state: ProfileState, target: Target, _is_erasure: bool) -> Rendered:
    """Return the request that deletes a profile."""
    match = _render_match(state, target)
    if not match:
        return Rendered(skipped=[""])
    return Rendered([_request("profiles/delete", match, target, missing_ok=True)])


def render_merge(source: str, destination: str, target: Target, removes: bool) -> list[OutgoingRequest]:
    """Return the request that merges a profile into another one. The source stays there, unless another removes it."""
    profiles = [{"db_id": target.database, "profile_id": each} for each in (source, destination)]
    parameters = {
        "source": profiles[:1],
        "destination": profiles[1],
        "matching": "profile_id",
        "static_segments": True,
    }
    merge = _request("profiles/merge", parameters, target, missing_ok=True)
    deletion = {"matching": "profile_id", "profile_id": source}
    return [merge, *([_request("profiles/delete", deletion, target, missing_ok=True)] if removes else ())]


def render_split(owner: ProfileState, state: ProfileState, target: Target) -> list[OutgoingRequest]:
    """Return the request that gives a profile its address, which another one had as a further one."""
    addresses = [each.document.get("email") for each in (owner, state)]
    if not all(addresses) or addresses[0] == addresses[1]:
        return []
    source, destination = ({"db_id": target.database, "email": each} for each in addresses)
    parameters = {"source": source, "destination": [destination], "matching": "email", "subscriptions": False}
    return [_request("profiles/split", parameters, target)]


def parse_answer(status: int, tree: Tree) -> VendorAnswer:
    """Read a reply. The service may always answer 200: then `error` is the status."""
    if not isinstance(tree, dict):
        return VendorAnswer(status)
    error, words = str(tree.get("error") or "0"), str(tree.get("error_text") or "")
    if error.isascii() and error.isdigit() and int(error):
        found = _REFUSED_FIELD.search(words)
        return VendorAnswer(int(error), words, refused=found[1] if found else None)
    id = tree.get("profile_id")
    return VendorAnswer(status, words, id if isinstance(id, str) and id else None)


def _request(name: str, parameters: Mapping[str, Any], target: Target, *, missing_ok: bool = False) -> OutgoingRequest:
    return OutgoingRequest("POST", f"{ROOT}/{name}", {"db_id": target.database, **parameters}, missing_ok=missing_ok)


def _render_match(state: ProfileState, target: Target) -> dict[str, Any]:
    """Return the parameters that identify the profile; none if there is no identifier."""
    document = state.document
    if state.vendor_id:
        return {"matching": "profile_id", "profile_id": state.vendor_id}
    if target.id_field:
        return {
            "matching": "custom",
            "field_name": target.id_field,
            "field_value": document.get("external_id", state.id),
        }
    if "email" in document and "email" not in state.omitted:
        return {"matching": "email", "email": document["email"]}
    phones = document.get("phone_numbers")
    return {"matching": "phone", "phone": phones[0]} if phones and "phone" not in state.omitted else {}


def _render_fields(state: ProfileState, rendered: Rendered) -> dict[str, Any]:
    """Return the fields of the touched members. One that was cleared is unset; the address cannot be."""
    data: dict[str, Any] = {}
    for path in state.touched:
        if path[0] in _MEMBERS:
            continue
        name = _NAMES.get(path) or (path[1] if path[0] == "custom" and path[1] not in DATA_NAMES else "")
        value = state.value(path)
        if name == "_sex" and value is not None and value not in GENDERS:
            rendered.skip(*path)
            value = None
        if name == "" or name in state.omitted or (name == "email" and value is None):
            rendered.skip(*path)
        else:
            data[name] = _render_value(value)
    return data


def _render_value(value: Any) -> Any:
    """Return a value so that it replaces the previous one, and is not read as a function."""
    if value is None:
        return UNSET
    return {"action": "set", "value": value} if isinstance(value, dict) and "action" in value else value


def _render_starts(state: ProfileState, parameters: Mapping[str, Any], target: Target) -> list[OutgoingRequest]:
    """Return the imports that start what the change starts. The first one has the fields. No file was kept."""
    requests = []
    for each in state.document.get(LAST_STARTS, ()):
        kept = {name: each[name] for name in ("timeout", "custom_data", "content") if name in each}
        start = {ID_PARAMETERS[each["kind"]]: each["id"], **kept}
        path = f"{START_PATHS[each['kind']]}/import_and_start"
        requests.append(_request(path, {**parameters, **start}, target))
        parameters = {**_render_match(state, target), "data": {}}
    return requests


# --- subscriptions and segments ---


def _render_subscriptions(state: ProfileState, target: Target, rendered: Rendered) -> list[dict[str, Any]]:
    """Return the subscriptions that changed. One without a resource goes to that of the target."""
    subscriptions = []
    for each in state.changed("subscriptions"):
        one = _render_subscription(each, target)
        if DELETED in each:
            continue
        if "resource_id" not in one:
            rendered.skip("subscriptions")
            continue
        if not state.is_consent and one.get("status") == STATUSES[0]:
            del one["status"]
        subscriptions.append(one)
    return subscriptions


def _render_subscription(subscription: Mapping[str, Any], target: Target) -> dict[str, Any]:
    one = {name: value for name, value in subscription.items() if name not in INTERNAL_MEMBERS}
    if target.resource is not None:
        one.setdefault("resource_id", target.resource)
    if word := status_word(one.get("status")):
        one["status"] = word
    return one


def _render_deletions(state: ProfileState, target: Target) -> list[OutgoingRequest]:
    """Return the requests that delete the subscriptions that ended. They need the vendor's id of the profile."""
    now = [subscription_address(each) for each in state.document.get("subscriptions", ()) if DELETED not in each]
    former = [*state.ended("subscriptions"), *state.document.get("subscriptions", ())]
    ended = {subscription_address(each): each for each in former if subscription_address(each) not in now}
    requests = []
    for each in ended.values() if state.vendor_id else ():
        one = _render_subscription(each, target)
        if "resource_id" in one:
            address = {name: one[name] for name in ADDRESS_MEMBERS if name in one}
            parameters = {"profile_id": state.vendor_id, **address}
            requests.append(_request("subscriptions/delete", parameters, target, missing_ok=True))
    return requests


def _render_segments(state: ProfileState, target: Target, rendered: Rendered) -> dict[str, list[int]]:
    """Return the parameters that add the profile to segments and remove it from others. They have numbers only."""
    parameters: dict[str, list[int]] = {}
    for action, segments in (("add", state.document.get("segments", ())), ("remove", state.ended("segments"))):
        ids = [target.segment(each) for each in segments]
        if any(not id.isdecimal() for id in ids):
            rendered.skip("segments")
        if numbers := [int(id) for id in ids if id.isdecimal()]:
            parameters[SEGMENT_PARAMETERS[action]] = numbers
    return parameters


OUTGOING = Outgoing(
    *(headers, render_change, render_removal, render_merge, parse_answer),
    identifiers={"phone": "phone", "email": "email"},
    render_split=render_split,
    batches=Batches(MAX_ELEMENTS, batch_key, join_requests, partial(parse_rows, parse_answer)),
)
