"""JSON Schemas with the place where they stand: what a table is compiled from.

Several of them apply to one value: those of the canonical form, of a dialect's constraints, and of a closed database.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import compress
from operator import not_
from typing import Any
from urllib.parse import quote

import jsonschema_rs
from msgspec import Struct
from msgspec.structs import replace

from gateway.core.pointer import join_pointer, split_pointer
from gateway.schema.conditions import constants, decide
from gateway.schema.table import Check
from gateway.schema.validation import ENGINE, JSONSchema, prepare_schema
from gateway.schema.validation_view import drop_nulls

CANONICAL, CONSTRAINTS, CLOSED = "canonical", "constraints", "closed"
"""The sources of rules."""

SCALAR = ("type", "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum")
OBJECT = ("properties", "additionalProperties", "required")
LIST = ("items", "minItems", "maxItems")
_APPLICATORS = ("$ref", "allOf", "if", "then", "else")
_ANNOTATIONS = ("$schema", "$id", "$defs", "title", "description", "default", "examples", "deprecated", "$comment")
_EXPRESSED = frozenset((*SCALAR, *OBJECT, *LIST, *_APPLICATORS, *_ANNOTATIONS))
"""The keywords that a table expresses. A schema with another one is left to the compiled validator."""

NO_MEMBERS: Mapping[str, Any] = {}


class Place(Struct, frozen=True):
    """A schema at a pointer of the document with this URI.

    `is_patch`: whether a null in the value removes a member, as in a merge patch, and is no value to validate.
    `is_member`: whether the value itself is such a member.
    """

    uri: str
    schema: JSONSchema | bool
    pointer: str = ""
    source: str = CANONICAL
    is_patch: bool = False
    is_member: bool = False
    followed: tuple[str, ...] = ()
    """The references that led here."""

    def below(self, *names: str | int) -> "Place":
        """Return the place of a part of the schema."""
        part: Any = self.schema
        for name in names:
            part = part[name]
        return replace(self, schema=part, pointer=self.pointer + join_pointer(*names))

    def has(self, keyword: str) -> bool:
        """Whether the schema has a keyword."""
        return not isinstance(self.schema, bool) and keyword in self.schema

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return the value of a keyword."""
        return default if isinstance(self.schema, bool) else self.schema.get(keyword, default)


class ResolvedPlaces(Struct):
    """The places that apply to one value, without references and conditions."""

    expressed: list[Place]
    delegated: list[Place]
    """Those that only the compiled validator expresses."""
    conditional: list[Place]
    """Expressed ones with a condition on members that are not known."""
    open_conditions: dict[str, frozenset[Any]]
    """These members, with the values that the conditions compare them with."""

    def allows(self, kind: str) -> bool:
        """Whether no expressed place excludes the type `object` or `array`."""
        return all(_may_be(place.schema, kind) for place in self.expressed)

    def below(self, name: str) -> list[Place]:
        """Return the places of a member of an object."""
        declares = [name in place.get("properties", NO_MEMBERS) for place in self.expressed]
        declared = compress(self.expressed, declares)
        found = [replace(place.below("properties", name), is_member=place.is_patch) for place in declared]
        return [*found, *_others(compress(self.expressed, map(not_, declares)))]

    def others(self) -> list[Place]:
        """Return the places of a member that no place declares."""
        return _others(self.expressed)

    def items(self) -> list[Place]:
        """Return the places of the items of a list. A null there is an item."""
        found = (place.below("items") for place in self.expressed if place.has("items"))
        return [replace(place, is_patch=False, is_member=False) for place in found]

    def sizes(self) -> range | None:
        """Return the valid lengths of a list, None for all."""
        least = [int(place.get("minItems")) for place in self.expressed if place.has("minItems")]
        most = [int(place.get("maxItems")) for place in self.expressed if place.has("maxItems")]
        return range(max(least, default=0), min(most, default=sys.maxsize - 1) + 1) if least or most else None

    def needs_node(self, kind: str) -> bool:
        """Whether a value of the type `object` or `array` may be valid, and there are rules of its members."""
        keywords = OBJECT if kind == "object" else LIST
        has_rules = any(place.has(keyword) for place in self.expressed for keyword in keywords)
        return self.allows(kind) and bool(has_rules or self.delegated or self.conditional)


class Places:
    """The places of the schemas of a database, by URI."""

    def __init__(self, schemas: Mapping[str, JSONSchema]) -> None:
        self.schemas = schemas

    @cached_property
    def _registry(self) -> Any:
        return jsonschema_rs.Registry([(uri, prepare_schema(schema)) for uri, schema in self.schemas.items()])

    def resolve(
        self, places: Iterable[Place], known: Mapping[str, Any] = NO_MEMBERS, kind: str | None = None
    ) -> ResolvedPlaces:
        """Return the places that apply to a value. `known` are members of it, and `kind` its type in JSON Schema."""
        resolved, pending = ResolvedPlaces([], [], [], {}), list(places)
        while pending:
            place = pending.pop()
            if place.schema is True:
                continue
            parts = None if place.schema is False else self._parts(place, known, kind, resolved)
            if parts is None:
                (resolved.expressed if place.schema is False else resolved.delegated).append(place)
                continue
            pending += parts
            resolved.expressed.append(place)
        return resolved

    def _parts(
        self, place: Place, known: Mapping[str, Any], kind: str | None, resolved: ResolvedPlaces
    ) -> list[Place] | None:
        """Return the further places that a place refers to, or None if a table does not express it."""
        parts: list[Place] = []
        for keyword in place.schema:  # type: ignore[union-attr]
            if keyword == "$ref":
                found = self._follow(place)
            elif keyword == "allOf":
                found = [place.below("allOf", index) for index in range(len(place.get("allOf")))]
            elif keyword == "if":
                found = _branch(place, known, resolved)
            elif keyword in ("anyOf", "oneOf") and kind is not None:
                found = _only_choice(place, keyword, kind)
            elif keyword in ("enum", "const") and _has_container(keyword, place.get(keyword)):
                return None
            else:
                found = [] if keyword in _EXPRESSED or keyword.startswith("x-") else None
            if found is None:
                return None
            parts += found
        return parts

    def _follow(self, place: Place) -> list[Place] | None:
        reference = place.get("$ref")
        uri, _, fragment = reference.partition("#")
        if uri not in self.schemas or reference in place.followed:
            return None
        followed = (*place.followed, reference)
        target = replace(place, uri=uri, schema=self.schemas[uri], pointer="", followed=followed)
        return [target.below(*split_pointer(fragment))]

    def check(self, places: Sequence[Place], is_container: bool = False) -> Check:
        """Return the check of places by the compiled validator."""
        if is_container and any(place.is_patch for place in places):
            patches, others = ([each for each in places if each.is_patch is wanted] for wanted in (True, False))
            check = _without_nulls(self._validator(patches))
            return _both(check, self._validator(others)) if others else check
        return self._validator(places)

    def _validator(self, places: Sequence[Place]) -> Check:
        schema = {"allOf": [{"$ref": f"{each.uri}#{quote(each.pointer)}"} for each in places]}
        return jsonschema_rs.Draft202012Validator(schema, registry=self._registry, **ENGINE).is_valid


def _others(places: Iterable[Place]) -> list[Place]:
    closed = (place for place in places if place.has("additionalProperties"))
    return [replace(place.below("additionalProperties"), is_member=place.is_patch) for place in closed]


def _without_nulls(check: Check) -> Check:
    return lambda value: check(drop_nulls(value))


def _both(one: Check, other: Check) -> Check:
    return lambda value: one(value) and other(value)


def _branch(place: Place, known: Mapping[str, Any], resolved: ResolvedPlaces) -> list[Place] | None:
    """Return the branch of a condition that applies, if any. None: that depends on more than the members' values.

    A condition on values that are not known is added to the open ones.
    """
    condition = place.get("if")
    verdict = decide(condition, known)
    if verdict is not None:
        keyword = "then" if verdict else "else"
        return [place.below(keyword)] if keyword in place.schema else []  # type: ignore[operator]
    if all(decide(place.get(keyword, True), known) for keyword in ("then", "else")):
        return []
    unknown = {name: values for name, values in constants(condition).items() if name not in known}
    if not unknown:
        return None
    for name, values in unknown.items():
        resolved.open_conditions[name] = resolved.open_conditions.get(name, frozenset()) | values
    resolved.conditional.append(place)
    return []


def _only_choice(place: Place, keyword: str, kind: str) -> list[Place] | None:
    """Return the one choice that a value of this type may meet, or None if there are several."""
    possible = [index for index, each in enumerate(place.get(keyword)) if _may_be(each, kind)]
    return [place.below(keyword, index) for index in possible] if len(possible) == 1 else None


def _has_container(keyword: str, value: Any) -> bool:
    return any(isinstance(each, dict | list) for each in (value if keyword == "enum" else [value]))


def type_names(schema: JSONSchema) -> frozenset[str] | None:
    """Return the types that a schema allows, None for all."""
    types = schema.get("type")
    return None if types is None else frozenset([types] if isinstance(types, str) else types)


def _may_be(schema: JSONSchema | bool, kind: str) -> bool:
    """Whether a value of the type `object` or `array` may be valid."""
    if isinstance(schema, bool):
        return schema
    types = type_names(schema)
    values = [schema["const"]] if "const" in schema else schema.get("enum", [{}, []])
    container = dict if kind == "object" else list
    return (types is None or kind in types) and any(isinstance(value, container) for value in values)
