"""The declaration of a place: its JSON Schema with resolved references."""

from collections.abc import Mapping
from typing import Any, cast

from gateway.core.model import Resource
from gateway.core.pointer import split_pointer
from gateway.schema.validation import JSONSchema

PROFILE, SUBSCRIPTION, COMMAND = (f"urn:profile-gateway:{name}" for name in ("profile", "subscription", "command"))
IN_PROFILE: JSONSchema = {"$ref": PROFILE}


class Declarations:
    """The schemas of one database by URI, and its resources, which declare the own fields of subscriptions."""

    def __init__(self, schemas: Mapping[str, JSONSchema], resources: Mapping[int, Resource]) -> None:
        self._schemas = schemas
        self._resources = resources

    def field(self, operation: Mapping[str, Any], declared: JSONSchema) -> JSONSchema:
        """Return the schema of an operation's field, which `declared` contains."""
        for name in split_pointer(operation["pointer"]):
            declared = self.member(declared, name)
        return self.resolve(declared)

    def subscription_fields(self, subscription: Mapping[str, Any]) -> JSONSchema:
        """Return the schema of a subscription's fields: those of the system, and those that its resource declares."""
        id = subscription.get("resource_id")
        resource = self._resources.get(id) if isinstance(id, int) else None
        system: JSONSchema = self._schemas[SUBSCRIPTION]["properties"]["custom_fields"]
        return merge_schemas(system, dict(resource.fields)) if resource else system

    def member(self, schema: JSONSchema, name: str) -> JSONSchema:
        """Return the schema of one member, or of the items of a list."""
        declared = self.resolve(schema)
        others = declared.get("additionalProperties", declared.get("items", {}))
        return self.resolve(declared.get("properties", {}).get(name, others))

    def resolve(self, schema: JSONSchema | bool) -> JSONSchema:
        """Return a schema merged over the schema that it refers to. A boolean schema declares nothing."""
        if isinstance(schema, bool):
            return {}
        if "$ref" not in schema:
            return schema
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return merge_schemas(self.resolve(self._lookup(schema["$ref"])), own)

    def _lookup(self, reference: str) -> JSONSchema:
        uri, _, fragment = reference.partition("#")
        schema: Any = self._schemas[uri]
        for name in split_pointer(fragment):
            schema = schema[name]
        return cast(JSONSchema, schema)


def command_uri(type: str) -> str:
    """Return the URI of a command's schema."""
    return f"urn:profile-gateway:{type}"


def merge_schemas(base: JSONSchema, over: JSONSchema) -> dict[str, Any]:
    """Return a schema whose keywords are those of `over`, else those of `base`. Objects are merged by member."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge_schemas(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
