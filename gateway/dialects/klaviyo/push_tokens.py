"""Push tokens: register, remove, search and list the devices that a profile is reachable at."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Refusal, refuse
from gateway.core.model import Profile, Update
from gateway.dialects.klaviyo.bodies_of_2023 import check_address
from gateway.dialects.klaviyo.devices import (
    PushToken,
    parse_device,
    parse_token,
    parse_token_id,
    render_device,
    token_context,
    token_resource,
    tokens_of,
)
from gateway.dialects.klaviyo.fields import IDENTIFIERS
from gateway.dialects.klaviyo.jsonapi.cursors import render_page
from gateway.dialects.klaviyo.jsonapi.documents import (
    BodyFaults,
    parse_attributes,
    parse_object,
    parse_resource,
)
from gateway.dialects.klaviyo.jsonapi.filters import parse_filter
from gateway.dialects.klaviyo.jsonapi.links import (
    add_included,
    link_context,
    parse_parameters,
    render_collection,
    render_resource,
    self_link,
)
from gateway.dialects.klaviyo.pages import parse_page
from gateway.dialects.klaviyo.replies import profile_of, profile_resource
from gateway.dialects.klaviyo.requests import (
    CLIENT_RULES,
    PROFILE,
    REJECT_CONFLICTS,
    match_id,
    match_identifiers,
    parse_nested_profile,
    profile_context,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

OPERATORS: dict[str, tuple[str, ...]] = dict.fromkeys(("profile.id", "enablement_status", "platform"), ("equals",))


# --- requests ---


def parse_registration(request: Request) -> ParsedRequest:
    """Parse `POST /api/push-tokens`: import a profile, and move the token to it from any other profile."""
    return _parse_registration(request, REJECT_CONFLICTS, {}, is_public=False)


def parse_client_registration(request: Request) -> ParsedRequest:
    """Parse `POST /client/push-tokens`: the same, but it moves and replaces no identifier."""
    return _parse_registration(request, CLIENT_RULES, {"on_multiple": "first"}, is_public=True)


def _parse_registration(
    request: Request, rules: Update, choice: Mapping[str, str], *, is_public: bool
) -> ParsedRequest:
    data, faults = parse_resource(request, "push-token")
    attributes = parse_attributes(data, faults)
    token, device = parse_token(attributes, faults), parse_device(attributes, faults)
    update = parse_nested_profile(attributes, rules, faults, is_public=is_public)
    if faults:
        raise Refusal(faults)
    registration = token.registration(device)
    combined = {
        "match": {**update["match"], **choice},
        "operations": [*update.get("operations", ()), *registration["operations"]],
        "set_once": [*update.get("set_once", ()), *registration["set_once"]],
    }
    return ParsedRequest(None, [ParsedCommand({**update, **registration, **combined})])


def parse_unregistration(request: Request) -> ParsedRequest:
    """Parse `POST /client/push-token-unregister`. Accepts a token that the profile, or no profile, has."""
    data, faults = parse_resource(request, "push-token-unregister")
    attributes = parse_attributes(data, faults)
    token = parse_token(attributes, faults)
    match = _match_profile(attributes, faults) or token.match
    if faults:
        raise Refusal(faults)
    match = {**match, "on_multiple": "first"}
    return ParsedRequest(None, [ParsedCommand({"match": match, "missing_ok": True, **token.removal})])


def _match_profile(attributes: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any] | None:
    """Return the match of the profile that an unregistration names, if it names one."""
    profile = parse_object(attributes.get("profile"), PROFILE, faults)
    data = parse_object(profile.get("data"), f"{PROFILE}/data", faults)
    identifiers = {"id": data.get("id"), **parse_object(data.get("attributes"), f"{PROFILE}/data/attributes", faults)}
    named = {name: value for name, value in identifiers.items() if name in IDENTIFIERS and value not in (None, "")}
    for name in sorted(named.keys() & {"email", "phone_number"}):
        check_address(name, named[name], f"{PROFILE}/data/attributes/{name}", faults)
    return match_identifiers(named, faults)["match"] if named else None


def parse_removal(request: Request) -> ParsedRequest:
    """Parse `DELETE /api/push-tokens/{id}`."""
    token = _parse_path(request)
    return ParsedRequest(None, [ParsedCommand({"match": token.match, **token.removal})])


def parse_search(request: Request) -> ParsedRequest:
    """Parse `GET /api/push-tokens/{id}`, which may include the profile."""
    return _parse_search(request, ("profile",))


def parse_profile_search(request: Request) -> ParsedRequest:
    """Parse `GET /api/push-tokens/{id}/profile`."""
    return _parse_search(request, ())


def _parse_search(request: Request, includable: Sequence[str]) -> ParsedRequest:
    token = _parse_path(request)
    context = {**profile_context(request, includable), **token_context(request), "token": token}
    return ParsedRequest(None, [ParsedCommand({"match": token.match})], context)


def parse_related(request: Request) -> ParsedRequest:
    """Parse `GET /api/profiles/{id}/push-tokens`, which has one page."""
    context = {**link_context(request), **token_context(request)}
    return ParsedRequest(None, [ParsedCommand(match_id(request.path["id"]))], context)


def parse_list(request: Request) -> ParsedRequest:
    """Parse `GET /api/push-tokens`. The page size counts profiles, and the page has all of their tokens."""
    parameters = parse_parameters(request)
    conditions = parse_filter(parameters.get("filter", ""), OPERATORS)
    ids = [list(each.values) for each in conditions if each.field == "profile.id"]
    states = [(each.field, each.values[0]) for each in conditions if each.field != "profile.id"]
    query = {"filters": [{"profile_id": values} for values in ids]} if ids else {}
    context = {**profile_context(request, ("profile",)), **token_context(request), "states": states}
    return parse_page({**parameters, "sort": "id"}, query, context, "id")


def _parse_path(request: Request) -> PushToken:
    """Return the token of the path's id. Raises `Refusal`: profile_not_found."""
    token = parse_token_id(request.path["id"])
    if token is None:
        raise refuse("profile_not_found", "there is no such push token")
    return token


# --- replies ---


def render_removal(_result: Result) -> Reply:
    """Render 204 without a body."""
    return Reply(204, None)


def render_token(result: Result) -> Reply:
    """Render one token."""
    profile = profile_of(result)
    reply = render_resource(token_resource(result.context["token"], profile, result.context))
    return _with_profiles(reply, [profile], result.context)


def render_list(result: Result) -> Reply:
    """Render a page of tokens. Those of one profile follow each other."""
    profiles = [each for each in result.outcomes if isinstance(each, Profile)]
    reply = render_page(
        result.context,
        profiles,
        lambda profile: {"tokens": _select_tokens(profile, result)},
        lambda each, _sort: each.id,
    )
    tokens = [token for row in reply.tree["data"] for token in row["tokens"]]
    owners = {token["relationships"]["profile"]["data"]["id"] for token in tokens}
    owning = [each for each in profiles if each.id in owners]
    return _with_profiles(Reply(200, {**reply.tree, "data": tokens}), owning, result.context)


def _with_profiles(reply: Reply, profiles: Sequence[Profile], context: Mapping[str, Any]) -> Reply:
    """Return a reply that includes the profiles of its tokens, if the request asks for them."""
    return add_included(reply, [profile_resource(each, context) for each in profiles]) if context["include"] else reply


def _select_tokens(profile: Profile, result: Result) -> list[dict[str, Any]]:
    """Return the tokens of a profile that have the states of the filter."""
    states = result.context["states"]
    tokens = ((token, render_device(token, profile)) for token in tokens_of(profile.document))
    selected = [token for token, device in tokens if all(device[name] == value for name, value in states)]
    return [token_resource(token, profile, result.context) for token in selected]


def render_related(result: Result) -> Reply:
    """Render the tokens of a profile."""
    profile, context = profile_of(result), result.context
    return render_collection(context, [token_resource(each, profile, context) for each in tokens_of(profile.document)])


def render_related_ids(result: Result) -> Reply:
    """Render the resource identifiers of a profile's tokens."""
    tokens = tokens_of(profile_of(result).document)
    return render_collection(result.context, [{"type": "push-token", "id": each.id} for each in tokens])


def render_profile(result: Result) -> Reply:
    """Render the profile that has a token."""
    return render_resource(profile_resource(profile_of(result), result.context))


def render_profile_id(result: Result) -> Reply:
    """Render the resource identifier of the profile that has a token."""
    identifier = {"type": "profile", "id": profile_of(result).id}
    return Reply(200, {"data": identifier, "links": self_link(result.context)})
