"""Profiles as resources of JSON:API, and the replies that several calls share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.core.listing import sort_value
from gateway.core.model import Created, Document, Profile
from gateway.dialects.klaviyo.consents import render_consents
from gateway.dialects.klaviyo.devices import token_resource, tokens_of
from gateway.dialects.klaviyo.fields import (
    COORDINATES,
    FIELDS,
    LOCATION_PATHS,
    NAMESPACE,
    WRITE_ONLY_FIELDS,
    parse_coordinate,
)
from gateway.dialects.klaviyo.jsonapi.cursors import render_page
from gateway.dialects.klaviyo.jsonapi.links import add_included, add_linkage, link_relationships, render_resource
from gateway.dialects.klaviyo.lists import list_resources
from gateway.dialects.klaviyo.times import render_time
from gateway.dialects.protocol import Reply, Result


def render_accepted(_result: Result) -> Reply:
    """Render 202 without a body. The vendor acts later; the gateway has already acted."""
    return Reply(202, None)


def render_profile(result: Result) -> Reply:
    """Render a profile with 201 if the request created it, or else with 200."""
    profile, context = profile_of(result), result.context
    resource = profile_resource(profile, context)
    status = 201 if isinstance(profile, Created) else 200
    if not context["include"]:
        return render_resource(resource, status)
    related = _related_resources(profile, result)
    return _with_related(render_resource(add_linkage(resource, related), status), [related], result)


def render_profiles(result: Result) -> Reply:
    """Render a page of profiles."""
    profiles = [each for each in result.outcomes if isinstance(each, Profile)]
    page = profiles[: result.context["size"]]
    related = {each.id: _related_resources(each, result) for each in page}

    def render_row(profile: Profile) -> dict[str, Any]:
        return add_linkage(profile_resource(profile, result.context), related[profile.id])

    reply = render_page(result.context, profiles, render_row, sort_value)
    return _with_related(reply, related.values(), result)


def _related_resources(profile: Profile, result: Result) -> dict[str, list[dict[str, Any]]]:
    """Return, by relationship, the resources that the request includes."""
    context = result.context
    resources: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "lists": lambda: list_resources(profile.document.get("segments", ()), result.database, context["base"]),
        "push-tokens": lambda: [token_resource(each, profile, context) for each in tokens_of(profile.document)],
    }
    return {name: resources[name]() if name in resources else [] for name in context["include"]}


def _with_related(reply: Reply, related: Iterable[Mapping[str, Sequence[dict[str, Any]]]], result: Result) -> Reply:
    """Return a reply that includes the resources, if the request asks for them."""
    resources = [each for by_name in related for found in by_name.values() for each in found]
    return add_included(reply, resources) if result.context["include"] else reply


def profile_of(result: Result) -> Profile:
    """Return the only profile of a result."""
    (profile,) = result.outcomes
    assert isinstance(profile, Profile)
    return profile


def profile_resource(profile: Profile, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile as a resource with the requested attributes."""
    link = f"{context['base']}/api/profiles/{profile.id}"
    fields, additional = context["fields"], context["additional"]
    attributes = render_attributes(profile, additional)
    return {
        "type": "profile",
        "id": profile.id,
        "attributes": _select_fields(attributes, (*fields, *additional)) if fields else attributes,
        "relationships": link_relationships(link, ("lists", "segments", "push-tokens")),
        "links": {"self": link},
    }


def _select_fields(attributes: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of a sparse fieldset. `location.city` selects one member of the location."""
    selected: dict[str, Any] = {}
    for name in names:
        first, _, member = name.partition(".")
        if first == "location" and member and selected.get("location") is not attributes["location"]:
            selected["location"] = {**selected.get("location", {}), member: attributes["location"][member]}
        elif first in attributes:
            selected[first] = attributes[first]
    return selected


def render_attributes(profile: Profile, additional: Sequence[str] = ()) -> dict[str, Any]:
    """Return all attributes of a profile. One without a value of the vendor's type is null."""
    document = profile.document
    attributes = _render_texts(document, _ATTRIBUTES)
    location = _render_texts(document, _LOCATION)
    own, properties = document.get(NAMESPACE, _NO_MEMBERS), document.get("custom")
    for member in COORDINATES:
        if member in document or member in own:
            location[member] = _render_coordinate(document.get(member), own.get(member))
    attributes["properties"] = properties if isinstance(properties, dict) else {}
    attributes["location"] = location
    attributes["created"], attributes["updated"] = render_time(profile.created), render_time(profile.updated)
    attributes["last_event_date"] = render_time(own["last_event_date"]) if "last_event_date" in own else None
    for name in additional:
        attributes[name] = render_consents(profile) if name == "subscriptions" else None
    return attributes


_NO_MEMBERS: Mapping[str, Any] = {}
_Places: TypeAlias = Sequence[tuple[str, tuple[str, ...], str]]
"""Names, the path of the object of a document that has each value, and its member there."""

_ATTRIBUTES: _Places = [
    (name, path[:-1], path[-1])
    for name, path in FIELDS.items()
    if name != "properties" and name not in WRITE_ONLY_FIELDS and not name.startswith("location.")
]
_LOCATION: _Places = [(member, path[:-1], path[-1]) for member, path in LOCATION_PATHS.items()]


def _render_texts(document: Document, places: _Places) -> dict[str, Any]:
    """Return the text at each place, the first one of the phones. What is no text is null."""
    texts = {}
    for name, group, member in places:
        value = (document.get(group[0], _NO_MEMBERS) if group else document).get(member)
        if name == "phone_number" and isinstance(value, list):
            value = value[0] if value else None
        texts[name] = value if isinstance(value, str) else None
    return texts


def _render_coordinate(number: Any, text: Any) -> Any:
    """Return the text as sent, or the number if it has changed since then."""
    is_current = isinstance(text, str) and (number is None or parse_coordinate(text) == number)
    return text if is_current else number
