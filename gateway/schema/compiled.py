"""The compiled schemas of one database: they coerce the untyped leaves of a command and validate it.

A table gives the verdict in one pass. Only a command that it does not accept is explained by the JSON Schemas.
"""

from functools import cached_property, partial
from itertools import compress
from operator import is_not
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from gateway.core.faults import Fault
from gateway.core.model import Command, CommandType, Database, Document, Resource, Update
from gateway.core.pointer import split_pointer
from gateway.core.result_cache import ResultCache
from gateway.core.segments import Segment, archived_segments
from gateway.schema.coercion import text_parser
from gateway.schema.command_rules import archive_rules, closed_rules, is_open_to, match_rules
from gateway.schema.declarations import (
    COMMAND,
    IN_PROFILE,
    PROFILE,
    SUBSCRIPTION,
    Declarations,
    command_uri,
    merge_schemas,
)
from gateway.schema.deferred_values import place_deferred_values
from gateway.schema.explanation import Explanation
from gateway.schema.files import load_schema
from gateway.schema.places import CLOSED, CONSTRAINTS, Place, Places
from gateway.schema.profile_annotations import profile_tables
from gateway.schema.table import ANY, Node, accepts, coerce
from gateway.schema.table_compiler import BY_RESOURCE, TableCompiler
from gateway.schema.validation import MAX_FAULTS, JSONSchema, Validator

PARTIAL_PROFILE = f"{PROFILE}:partial"

WITH_PROFILE = frozenset({CommandType.UPDATE, CommandType.MERGE, CommandType.SPLIT})
"""The types of commands that write members of a profile."""

CONSTRAINTS_URI, RULES_URI, CLOSED_URI, ARCHIVE_URI = (
    f"urn:profile-gateway:{name}" for name in ("constraints", "rules", "closed", "archive")
)


class CompiledSchema:
    """The canonical form in one database, with one dialect's constraints (a JSON Schema of commands, or {})."""

    def __init__(self, database: Database, constraints: JSONSchema) -> None:
        self._database = database
        self._constraints = {key: value for key, value in constraints.items() if key != "$id"}
        own = _own_fields(database)
        profile = merge_schemas(load_schema("profile"), {"properties": {"custom": own}})
        partial = {**merge_schemas(profile, {"properties": {"custom": {"required": []}}}), "$id": PARTIAL_PROFILE}
        self._schemas = {
            **{command_uri(type): load_schema(type) for type in CommandType},
            COMMAND: load_schema("command"),
            SUBSCRIPTION: _subscription(database),
            PROFILE: profile,
            PARTIAL_PROFILE: partial,
        }
        constrained = merge_schemas(profile, constraints.get("properties", {}).get("profile", {}))
        declared = {**self._schemas, SUBSCRIPTION: load_schema("subscription"), PROFILE: constrained}
        self._declarations = Declarations(declared, database.resources)
        self.tables = profile_tables(load_schema("profile"), own["properties"])
        self._roots = ResultCache(self._root)
        self._explanations = ResultCache(self._explanation)
        self._match_values = ResultCache(self._match_value)

    def validate(
        self, command: Command, type: CommandType, is_typed: bool = True, limit: int = MAX_FAULTS
    ) -> tuple[Command, list[Fault]]:
        """Return a command with its leaves coerced, and its faults. A null is not checked as a value.

        Pointers are into the command. Return at most `limit` faults of each kind of rules. `is_typed`: the leaves have
        types already, else they are text; an undeclared one then stays text.
        """
        if is_typed:
            is_valid = accepts(command, self._roots[type])
        else:
            command, is_valid = self._coerce(command, type)
        return command, [] if is_valid else self.explain(command, type, limit)

    def explain(self, command: Command, type: CommandType, limit: int = MAX_FAULTS) -> list[Fault]:
        """Return the faults of a typed command by the JSON Schemas: the verdict that the table is derived from."""
        return self._explanations[type].faults(command, limit)

    def table(self, type: CommandType) -> Node:
        """Return the table of a type of command, which is compiled with the first such command."""
        return self._roots[type]

    def coerce(self, command: Command, type: CommandType) -> Command:
        """Return a command whose leaves are text with each leaf coerced. It is not validated."""
        return self._coerce(command, type)[0]

    def accepts_subscription(self, subscription: Any) -> bool:
        """Whether a typed subscription is valid. It finds no faults."""
        update: Update = {"match": {"mode": "none", "values": {}}, "subscriptions": [subscription]}
        type = CommandType.UPDATE
        return accepts(update, self._roots[type]) or self._explanations[type].accepts(update)

    def validate_profile(self, document: Document, before: Document) -> list[Fault]:
        """Return the faults of a document that will replace `before`. Pointers start with `/profile`.

        Members that both documents share (`is`) are accepted as they are: no rule of a profile spans two members. Own
        fields, too: a new declaration may have made them invalid.
        """
        changed = dict(compress(document.items(), map(is_not, document.values(), map(before.get, document))))
        if "custom" not in document or "custom" in changed:
            # Required own fields are missing, too, if there are no own fields at all.
            changed.setdefault("custom", {})
        if accepts(changed, self._document):
            return []
        faults = self._profile.faults(changed, "/profile")
        return [fault for fault in faults if not _is_unchanged(fault, document, before)]

    def _coerce(self, command: Command, type: CommandType) -> tuple[Command, bool]:
        root = self._roots[type]
        command, is_valid = coerce(command, root)
        place_deferred_values(command)
        match = command.get("match", {})
        if match.get("mode") == "custom" and "field_value" in match.get("values", {}):
            # The value has the type of the field that it is compared with.
            values = match["values"]
            values["field_value"] = coerce(values, self._match_values[str(values.get("field_name"))])[0]["field_value"]
            is_valid = is_valid and accepts(command, root)
        return command, is_valid

    def _match_value(self, field_name: str) -> Node:
        """Return the node of the values of a match by an own field."""
        declared = self._declarations.member(self._declarations.member(IN_PROFILE, "custom"), field_name)
        is_list = declared.get("type") == "array"  # tags are one text, separated by commas
        return Node({"field_value": self._compiler.rule((), {} if is_list else declared)}, ANY)

    def _root(self, type: str) -> Node:
        """Return the compiled table of a type of command."""
        places = [
            Place(_root_uri(type), self._places.schemas[_root_uri(type)]),
            Place(CONSTRAINTS_URI, self._constraints, source=CONSTRAINTS),
            Place(RULES_URI, self._places.schemas[RULES_URI], source=CONSTRAINTS),
        ]
        if self._database.closed:
            places.append(Place(CLOSED_URI, self._places.schemas[CLOSED_URI], source=CLOSED))
        if ARCHIVE_URI in self._places.schemas:
            places.append(Place(ARCHIVE_URI, self._places.schemas[ARCHIVE_URI], source=CLOSED))
        return self._compiler.node(places, self._declared(type))

    def _declared(self, type: str) -> JSONSchema:
        declared = _command(type, PROFILE)
        if "subscriptions" not in load_schema(type)["properties"]:
            return declared
        fields = {resource.id: dict(resource.fields) for resource in self._database.resources.values()}
        return merge_schemas(declared, {"properties": {"subscriptions": {"items": {BY_RESOURCE: fields}}}})

    @cached_property
    def _places(self) -> Places:
        roots = {_root_uri(type): _command(type, PARTIAL_PROFILE) for type in CommandType}
        rules = {RULES_URI: match_rules(self.tables), CLOSED_URI: closed_rules(self._database)}
        if archived := archived_segments(self._database.segments):
            rules[ARCHIVE_URI] = archive_rules(archived)
        return Places({**self._schemas, **roots, **rules, CONSTRAINTS_URI: self._constraints})

    @cached_property
    def _compiler(self) -> TableCompiler:
        empty_object, is_open = self._constraints.get("x-empty-object"), partial(is_open_to, database=self._database)
        return TableCompiler(self._places, self._declarations, empty_object, is_open)

    @cached_property
    def _document(self) -> Node:
        return self._compiler.node([Place(PROFILE, self._schemas[PROFILE])], {}, ("document",))

    @cached_property
    def _profile(self) -> Validator:
        return Validator(IN_PROFILE, self._schemas)

    @cached_property
    def _constraints_validator(self) -> Validator:
        return Validator(self._constraints, self._schemas)

    def _explanation(self, type: str) -> Explanation:
        canonical = Validator(_command(type, PARTIAL_PROFILE), self._schemas)
        return Explanation(canonical, self._constraints_validator, self._declarations, self.tables, self._database)


_compiled: WeakValueDictionary[bytes, CompiledSchema] = WeakValueDictionary()
"""The compiled schemas in use, by what they are compiled from, as JSON. One has 350 KB, and 5 MB for 5,000 lists."""


def compile_schema(database: Database, constraints: JSONSchema) -> CompiledSchema:
    """Return the compiled schema of a database with a dialect's constraints.

    Databases that declare the same share one. A change of the registry that declares nothing compiles nothing again
    where the schema before it is still in use: the tables of a schema take some 10 ms.
    """
    declaring = _declaring_part(database)
    source = msgspec.json.encode((declaring, constraints))
    if (schema := _compiled.get(source)) is None:
        schema = _compiled[source] = CompiledSchema(declaring, constraints)
    return schema


def _declaring_part(database: Database) -> Database:
    """Return what schemas are compiled from: no names, no secrets, and only segments that a rule is about."""
    resources = {id: Resource(id, "", each.categories, each.fields) for id, each in database.resources.items()}
    segments = {
        id: Segment(id, "", archived=None if each.archived is None else 1)
        for id, each in database.segments.items()
        if database.closed or each.archived is not None
    }
    return Database(0, "", database.closed, database.fields, None, resources, segments)


coerce_integer = text_parser(("integer",))
"""Coerces the id of the database, which is needed before the schema is found."""


def _root_uri(type: str) -> str:
    return f"{command_uri(type)}:root"


def _command(type: str, profile: str) -> JSONSchema:
    """Return the schema of a command. `profile` is the URI of the schema of its `profile`."""
    schema = {"$ref": command_uri(type)}
    return {**schema, "properties": {"profile": {"$ref": profile}}} if type in WITH_PROFILE else schema


def _own_fields(database: Database) -> dict[str, Any]:
    own = {"type": "object", "properties": {}, **database.fields}
    return {**own, "additionalProperties": False} if database.closed else own


def _subscription(database: Database) -> dict[str, Any]:
    """Return the schema of a subscription, with the own fields of each resource."""
    declared = [
        {
            "if": {"properties": {"resource_id": {"const": resource.id}}, "required": ["resource_id"]},
            "then": {"properties": {"custom_fields": {"properties": resource.fields.get("properties", {})}}},
        }
        for resource in database.resources.values()
    ]
    base = load_schema("subscription")
    base = base if database.closed else with_any_channel(base)
    return {**base, "allOf": [*base["allOf"], *declared]}


def with_any_channel(subscription: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with further channels, whose address is any object in `cc_data`."""
    properties = subscription["properties"]
    channel, address = {"channel": properties["channel"]}, {"cc_data": properties["cc_data"]}
    further = {"properties": {"channel": {"type": "string", "minLength": 1}}, "required": ["cc_data"]}
    rules = [
        {"if": further, "else": {"properties": channel}},
        {
            "if": {"properties": channel},
            "then": {"properties": address},
            "else": {"properties": {"cc_data": {"type": "object", "minProperties": 1}}},
        },
    ]
    open_properties = {**properties, "channel": True, "cc_data": True}
    return {**subscription, "properties": open_properties, "allOf": [*subscription["allOf"], *rules]}


def _is_unchanged(fault: Fault, document: Document, before: Document) -> bool:
    """Return whether a fault is in an own field that both documents share."""
    match split_pointer(fault.pointer):
        case ["profile", "custom", name, *_]:
            own, old = document.get("custom", {}), before.get("custom", {})
            return name in old and own.get(name) is old[name]
    return False
