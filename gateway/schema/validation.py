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

ENGINE: Any = {"formats": FORMATS, "validate_formats": True, "pattern_options": jsonschema_rs.RegexOptions()}
"""The options of a compiled validator."""


class Validator:
    """Validates values by one schema. `resources` are the schemas that it may refer to, by URI."""

    def __init__(self, schema: JSONSchema, resources: Mapping[str, JSONSchema]) -> None:
        schema = prepare_schema(schema)
        contents: list[tuple[str, Any]] = [(uri, prepare_schema(each)) for uri, each in resources.items()]
        self._registry = jsonschema_rs.Registry(contents)
        self._quick = jsonschema_rs.Draft202012Validator(schema, registry=self._registry, **ENGINE)
        self._name_finders: dict[int, tuple[JSONSchema, Any]] = {}
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
        faults = islice((fault for error in errors for fault in self._faults_of(error, at)), limit)
        return list(dict.fromkeys(faults)) or [Fault("invalid_field", "the value is not valid", at)]

    def _faults_of(self, error: Any, at: str) -> Iterable[Fault]:
        pointer = at + join_pointer(*error.absolute_path)
        if error.validator in _UNEXPECTED_NAMES:
            names = self._unexpected_names(error)
            return (Fault("unknown_field", pointer=pointer + join_pointer(name)) for name in names)
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return (Fault("invalid_field", "it is missing", pointer + join_pointer(name)) for name in missing)
        return [Fault("invalid_field", _reason(error), pointer)]

    def _unexpected_names(self, error: Any) -> Iterable[str]:
        """Return the names that the schema of an error does not allow.

        They come from the compiled validator: the message of the error has values, in which a name may occur too.
        """
        if id(error.schema) not in self._name_finders:
            schema = _names_only(error.schema) if error.validator == "additionalProperties" else error.schema
            finder = jsonschema_rs.Draft202012Validator(schema, registry=self._registry, **ENGINE)
            self._name_finders[id(error.schema)] = error.schema, finder  # a kept schema keeps its id
        _, finder = self._name_finders[id(error.schema)]
        kinds = (found.kind for found in finder.iter_errors(error.instance) if not found.instance_path)
        return dict.fromkeys(name for kind in kinds if kind.name == error.validator for name in kind.unexpected)


def prepare_schema(schema: Any) -> Any:
    """Return a schema whose integers have 64 bits, without `$schema`.

    In JSON Schema, 1e300 is an integer. `jsonschema` would validate a part with `$schema` by its own class.
    """
    if isinstance(schema, list):
        return [prepare_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    bounds = {"minimum": INTEGERS[0], "maximum": INTEGERS[-1]} if "integer" in _types(schema) else {}
    kept = {key: each for key, each in schema.items() if key != "$schema" or isinstance(each, dict)}
    return {**bounds, **{key: each if key in _VALUES else prepare_schema(each) for key, each in kept.items()}}


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
    return jsonschema_rs.Draft202012Validator({keyword: value}, **ENGINE)


_Thorough: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"pattern": _pattern, "format": _format, "items": _items}
)


_UNEXPECTED_NAMES = ("additionalProperties", "unevaluatedProperties")
"""Keywords that reject names."""


def _names_only(schema: JSONSchema) -> JSONSchema:
    """Return a schema that allows the same names, with any value."""
    names = {keyword: dict.fromkeys(schema.get(keyword, ()), True) for keyword in ("properties", "patternProperties")}
    return {**names, "additionalProperties": False}


def _reason(error: Any) -> str:
    """Return why a value is rejected."""
    instance, expected = error.instance, error.validator_value
    match error.validator:
        case "type" if instance is None and all(isinstance(step, str) for step in error.absolute_path):
            # A null in a list is an item. Every other null removes a member.
            return "it cannot be cleared"
        case "type":
            types = [expected] if isinstance(expected, str) else expected
            return f"{excerpt(instance)} is not of type {' or '.join(types)}"
        case "enum":
            choices = ", ".join(excerpt(choice) for choice in expected if choice is not None)
            return f"{excerpt(instance)} is not one of {choices}"
        case "maxItems":
            return f"it has more than {expected} elements"
        case "maxLength":
            return f"it has more than {expected} characters"
        case "minLength":
            return f"it has fewer than {expected} characters" if instance else "it is empty"
        case "const" | "not" | "oneOf" | "dependentRequired" | "items" | "unevaluatedItems":
            # The messages of jsonschema for these have values as their `repr`.
            return f"{excerpt(instance)} does not satisfy {error.validator} {excerpt(expected)}"
        case _:
            reason: str = error.message.replace(repr(instance), excerpt(instance), 1)
            return reason[:MAX_REASON_LENGTH]
