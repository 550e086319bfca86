"""Compiles the tables of the core from the annotations of a profile's schema.

`x-identity` names the kind of identity that a member is, and whether two profiles may share it. `x-listed-by` names the
kind of the keys by which profiles are listed. `x-namespace` marks the member that belongs to one vendor, and
`x-global-status` the status of the whole profile. The database's own fields have `x-identifier`, or `x-searchable` if
they are tags.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.core.matching import ALIAS, CUSTOM, ID, SUBSCRIPTIONS, TAGS
from gateway.core.profile_tables import IdentitySource, ProfileTables, StrictestRule
from gateway.schema.validation import JSONSchema

LISTED_BY = "x-listed-by"

MERGED_FIELDS = ("merged", "custom")
"""The place of own fields that are identities of merged profiles."""


def profile_tables(profile: JSONSchema, own: Mapping[str, Any]) -> ProfileTables:
    """Return the tables of the schema `profile` in a database with these own fields."""
    members = profile["properties"]
    unique = tuple(name for name, field in own.items() if _is_marked(field, "x-identifier"))
    tag_fields = tuple(name for name, field in own.items() if _is_marked(field, "x-searchable"))
    annotated = [*_annotated(profile)]
    kinds = [identity["kind"] for _, identity, _ in annotated]
    places = dict(reversed([(identity["kind"], path) for path, identity, _ in annotated]))
    lists = dict(reversed([(identity["kind"], path) for path, identity, is_list in annotated if is_list]))
    namespaces = tuple(name for name, member in members.items() if member.get("x-namespace") is True)
    listed = {
        name: IdentitySource(member[LISTED_BY], (), True) for name, member in members.items() if LISTED_BY in member
    }
    return ProfileTables(
        sources=_sources(annotated, unique, tag_fields),
        listed=listed,
        members=(*dict.fromkeys(path[0] for path, *_ in annotated), SUBSCRIPTIONS, *listed),
        identifiers=(*unique, *tag_fields),
        tag_fields=tag_fields,
        match_kinds={"profile_id": ID, **{kind: kind for kind in kinds if kind != ALIAS}},
        places={**places, **{f"{CUSTOM}/{name}": (CUSTOM, name) for name in unique}},
        list_places={**lists, **{f"{CUSTOM}/{name}": (*MERGED_FIELDS, name) for name in unique}},
        unique=frozenset({ID, CUSTOM, *(identity["kind"] for _, identity, _ in annotated if identity["unique"])}),
        strictest=tuple(_strictest_rules(profile)),
        global_status=next(path for path, member in _members(profile, ()) if _is_marked(member, "x-global-status")),
        namespaces=frozenset(namespaces),
        declared_namespaces=tuple(name for name in namespaces if members[name].get("additionalProperties") is False),
    )


def _members(schema: JSONSchema, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], JSONSchema]]:
    """Yield the path and the schema of each declared member, an object before its own."""
    for name, member in schema.get("properties", {}).items():
        if isinstance(member, dict):
            yield (*path, name), member
            yield from _members(member, (*path, name))


def _strictest_rules(schema: JSONSchema) -> Iterator[StrictestRule]:
    for path, member in _members(schema, ()):
        if rule := member.get("x-strictest"):
            yield StrictestRule(path, rule.get("member"), tuple(rule["order"]))


Annotated: TypeAlias = tuple[tuple[str, ...], Mapping[str, Any], bool]
"""The path of a member, its `x-identity`, and whether it is a list."""


def _annotated(schema: JSONSchema) -> Iterator[Annotated]:
    for path, member in _members(schema, ()):
        if "x-identity" in member:
            yield path, member["x-identity"], member["type"] == "array"


def _sources(
    annotated: Sequence[Annotated], unique: Sequence[str], tag_fields: Sequence[str]
) -> Mapping[str, tuple[IdentitySource, ...]]:
    sources: dict[str, tuple[IdentitySource, ...]] = {}
    for (member, *path), identity, is_list in annotated:
        source = IdentitySource(identity["kind"], tuple(path), is_list)
        sources[member] = (*sources.get(member, ()), source)
    tags = tuple(IdentitySource(f"{TAGS}/{name}", (name,), is_list=True) for name in tag_fields)
    if not unique:
        return {**sources, CUSTOM: tags} if tags else sources
    merged, *path = MERGED_FIELDS
    own = (*(IdentitySource(f"{CUSTOM}/{name}", (name,)) for name in unique), *tags)
    others = tuple(IdentitySource(f"{CUSTOM}/{name}", (*path, name), is_list=True) for name in unique)
    return {**sources, CUSTOM: own, merged: (*sources.get(merged, ()), *others)}


def _is_marked(field: Any, annotation: str) -> bool:
    return isinstance(field, dict) and field.get(annotation) is True
