"""What is declared of a place: its JSON Schema, with everything that it refers to laid under it. It reads no value."""

from collections.abc import Mapping
from typing import Any

from gateway.core.model import CommandType, Resource
from gateway.core.pointer import split_pointer
from gateway.schema.validation import JSONSchema

PROFILE, SUBSCRIPTION, COMMAND = (f"urn:profile-gateway:{name}" for name in ("profile", "subscription", "command"))
IN_PROFILE: JSONSchema = {"$ref": PROFILE}


class Declarations:
    """The schemas of one database by their URI, and its resources, which declare fields of their own."""

    def __init__(self, schemas: Mapping[str, JSONSchema], resources: Mapping[int, Resource]) -> None:
        self._schemas = schemas
        self._resources = resources

    def field(self, operation: Mapping[str, Any], declared: JSONSchema) -> JSONSchema:
        """What is declared of the field that an operation is for."""
        for name in split_pointer(operation["pointer"]):
            declared = self.member(declared, name)
        return self.flat(declared)

    def fields_of(self, subscription: Mapping[str, Any]) -> JSONSchema:
        """What the resource of a subscription declares of its own fields."""
        id = subscription.get("resource_id")
        resource = self._resources.get(id) if isinstance(id, int) else None
        return dict(resource.fields) if resource else {}

    def member(self, schema: JSONSchema, name: str) -> JSONSchema:
        """What a schema declares of one member, or of a list's elements."""
        declared = self.flat(schema)
        others = declared.get("additionalProperties", declared.get("items", {}))
        return self.flat(declared.get("properties", {}).get(name, others))

    def flat(self, schema: JSONSchema | bool) -> JSONSchema:
        """A schema with what it refers to laid under it; a boolean schema declares no type."""
        if isinstance(schema, bool):
            return {}
        if "$ref" not in schema:
            return schema
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return merge_schemas(self.flat(self._referred(schema["$ref"])), own)

    def _referred(self, reference: str) -> JSONSchema:
        uri, _, fragment = reference.partition("#")
        found: Any = self._schemas[uri]
        for name in split_pointer(fragment):
            found = found[name]
        referred: JSONSchema = found
        return referred


def command_uri(type: CommandType) -> str:
    """The URI of a command's schema."""
    return f"urn:profile-gateway:{type}"


def merge_schemas(base: JSONSchema, over: JSONSchema) -> dict[str, Any]:
    """A schema with another's keywords over it, member by member."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge_schemas(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
