"""Validation by JSON Schema: a compiled validator decides, and the `jsonschema` library explains a rejection."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeAlias

import jsonschema
import jsonschema_rs
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gateway.core.excerpt import excerpt
from gateway.core.faults import Fault
from gateway.core.numbers import INTEGERS
from gateway.core.pointer import join_pointer
from gateway.schema.formats import FORMATS, describe_format

JSONSchema: TypeAlias = dict[str, Any]

MAX_REASON_LENGTH = 200
MAX_FAULTS = 100
"""Faults of one value. To find thousands takes a second, and no client reads them."""

_ENGINE: Any = {"formats": FORMATS, "validate_formats": True, "pattern_options": jsonschema_rs.RegexOptions()}


class Validator:
    """Validates values by one schema. `resources` are the schemas that it may refer to, by URI."""

    def __init__(self, schema: JSONSchema, resources: Mapping[str, JSONSchema]) -> None:
        schema = _prepared(schema)
        contents: list[tuple[str, Any]] = [(uri, _prepared(each)) for uri, each in resources.items()]
        self._quick = jsonschema_rs.Draft202012Validator(schema, registry=jsonschema_rs.Registry(contents), **_ENGINE)
        created = ((uri, DRAFT202012.create_resource(each)) for uri, each in contents)
        registry: Registry[Any] = Registry().with_resources(created)
        self._thorough = _Thorough(schema, registry=registry)

    def accepts(self, value: Any) -> bool:
        """Whether a value is valid."""
        accepted: bool = self._quick.is_valid(value)
        return accepted

    def faults(self, value: Any, at: str = "", limit: int = MAX_FAULTS) -> list[Fault]:
        """Return at most `limit` faults of a value. Pointers start with `at`."""
        if self.accepts(value):
            return []
        errors = islice(self._thorough.iter_errors(value), limit)
        faults = islice((fault for error in errors for fault in _faults_of(error, at)), limit)
        return list(dict.fromkeys(faults)) or [Fault("invalid_field", "the value is not valid", at)]


def _prepared(schema: Any) -> Any:
    """Return a schema whose integers have 64 bits, without `$schema`.

    In JSON Schema, 1e300 is an integer. `jsonschema` would validate a part with `$schema` by its own class.
    """
    if isinstance(schema, list):
        return [_prepared(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    bounds = {"minimum": INTEGERS[0], "maximum": INTEGERS[-1]} if "integer" in _types(schema) else {}
    kept = {key: each for key, each in schema.items() if key != "$schema" or isinstance(each, dict)}
    return {**bounds, **{key: each if key in _VALUES else _prepared(each) for key, each in kept.items()}}


_VALUES = ("const", "default", "enum", "examples")
"""Keywords with values instead of schemas."""


def _types(schema: JSONSchema) -> Sequence[Any]:
    types = schema.get("type", ())
    return [types] if isinstance(types, str) else types if isinstance(types, list) and "number" not in types else ()


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterable[jsonschema.ValidationError]:
    # `re` can take seconds on a malicious pattern and text. The engine of the compiled validator is linear.
    if validator.is_type(instance, "string") and not _keyword_validator("pattern", pattern).is_valid(instance):
        yield jsonschema.ValidationError(f"{excerpt(instance)} does not match {pattern}")


def _format(_validator: Any, format: str, instance: Any, _schema: Any) -> Iterable[jsonschema.ValidationError]:
    # jsonschema has fewer formats, so it would not explain every rejection of the compiled validator.
    if not _keyword_validator("format", format).is_valid(instance):
        yield jsonschema.ValidationError(f"{excerpt(instance)} is not {describe_format(format)}")


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> Iterable[jsonschema.ValidationError]:
    # The items of a list that is too long are not validated: an attacker could make that take any time.
    if not validator.is_type(instance, "array") or len(instance) <= schema.get("maxItems", len(instance)):
        yield from _default_items(validator, items, instance, schema)


_default_items: Any = jsonschema.Draft202012Validator.VALIDATORS["items"]


@cache
def _keyword_validator(keyword: str, value: str) -> Any:
    """Return the compiled validator of one keyword."""
    return jsonschema_rs.Draft202012Validator({keyword: value}, **_ENGINE)


_Thorough: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"pattern": _pattern, "format": _format, "items": _items}
)


def _faults_of(error: Any, at: str) -> Iterable[Fault]:
    pointer = at + join_pointer(*error.absolute_path)
    match error.validator:
        case "additionalProperties" | "unevaluatedProperties":
            # Only the message has the names, each as its `repr`.
            names = (name for name in error.instance if repr(name) in error.message)
            yield from (Fault("unknown_field", pointer=pointer + join_pointer(name)) for name in names)
        case "required":
            name = next(name for name in error.validator_value if error.message.startswith(repr(name)))
            yield Fault("invalid_field", "it is missing", pointer + join_pointer(name))
        case "type" if error.instance is None and all(isinstance(step, str) for step in error.absolute_path):
            # A null in a list is an item. Every other null removes a member.
            yield Fault("invalid_field", "it cannot be cleared", pointer)
        case "type":
            types = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
            yield Fault("invalid_field", f"{excerpt(error.instance)} is not of type {' or '.join(types)}", pointer)
        case "enum":
            choices = ", ".join(excerpt(choice) for choice in error.validator_value if choice is not None)
            yield Fault("invalid_field", f"{excerpt(error.instance)} is not one of {choices}", pointer)
        case "maxItems":
            yield Fault("invalid_field", f"it has more than {error.validator_value} elements", pointer)
        case "maxLength":
            yield Fault("invalid_field", f"it has more than {error.validator_value} characters", pointer)
        case "minLength":
            least = f"it has fewer than {error.validator_value} characters"
            yield Fault("invalid_field", least if error.instance else "it is empty", pointer)
        case "const" | "not" | "oneOf" | "dependentRequired" | "items" | "unevaluatedItems":
            # The messages of jsonschema for these have values as their `repr`.
            reason = f"{excerpt(error.instance)} does not satisfy {error.validator} {excerpt(error.validator_value)}"
            yield Fault("invalid_field", reason, pointer)
        case _:
            reason = error.message.replace(repr(error.instance), excerpt(error.instance), 1)
            yield Fault("invalid_field", reason[:MAX_REASON_LENGTH], pointer)
