"""Canonical outcomes to Klaviyo's replies: resources of JSON:API, with links."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.listing import sort_value
from gateway.core.model import Created, Profile
from gateway.dialects.klaviyo.fields import shown
from gateway.dialects.klaviyo.jsonapi.cursors import page, related_links, single
from gateway.dialects.protocol import Reply, Result


def accepted(_answer: Result) -> Reply:
    """202 and no body: what the vendor does later, this gateway has done."""
    return Reply(202, None)


def one(answer: Result) -> Reply:
    """A profile; 201 where the request made it."""
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    return Reply(201 if isinstance(profile, Created) else 200, single(resource_of(profile, answer.context)))


def many(answer: Result) -> Reply:
    """A page of profiles."""
    profiles = [each for each in answer.outcomes if isinstance(each, Profile)]
    return page(answer.context, profiles, lambda each: resource_of(each, answer.context), sort_value)


def merged(answer: Result) -> Reply:
    """The id of the profile that took in the others."""
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    resource = resource_of(profile, answer.context)
    return Reply(201, single({name: resource[name] for name in ("type", "id", "links")}))


def resource_of(profile: Profile, about: Mapping[str, Any]) -> dict[str, Any]:
    """A profile as a resource, with the attributes that are wanted."""
    link = f"{about['base']}/api/profiles/{profile.id}"
    attributes = _sparse(shown(profile, about["additional"]), (*about["fields"], *about["additional"]), about["fields"])
    related = {name: {"links": related_links(link, name)} for name in ("lists", "segments", "push-tokens")}
    parts = {"attributes": attributes, "relationships": related, "links": {"self": link}}
    return {"type": "profile", "id": profile.id, **parts}


def _sparse(attributes: dict[str, Any], names: Sequence[str], fields: Sequence[str]) -> dict[str, Any]:
    """The attributes that a sparse fieldset names, all of them without one; `location.city` is the one member."""
    if not fields:
        return attributes
    kept: dict[str, Any] = {}
    for name in names:
        first, _, member = name.partition(".")
        if first == "location" and member and kept.get("location") is not attributes["location"]:
            kept["location"] = {**kept.get("location", {}), member: attributes["location"][member]}
        elif first in attributes:
            kept[first] = attributes[first]
    return kept
