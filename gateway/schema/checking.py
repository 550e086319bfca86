"""One schema, twice: compiled for the verdict, and jsonschema's, whose errors are the better ones, for the words.

The thorough one runs only where the quick one refuses. Nothing here reads or changes a value.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

import jsonschema
import jsonschema_rs
from referencing import Registry, Resource

from gateway.core.faults import Fault
from gateway.core.pointer import pointer_to
from gateway.schema.formats import FORMATS, called

JSONSchema: TypeAlias = Mapping[str, Any]

LONGEST_REASON = 200


class Checker:
    """Judges values by one schema; `resources` are the schemas that it may refer to, by their URI."""

    def __init__(self, schema: JSONSchema, resources: Mapping[str, JSONSchema]) -> None:
        contents = list(resources.items())
        self._quick = jsonschema_rs.Draft202012Validator(
            schema,
            registry=jsonschema_rs.Registry(contents),
            formats=FORMATS,
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
        registry: Registry[Any] = Registry().with_resources((uri, Resource.from_contents(each)) for uri, each in contents)
        self._thorough = _Thorough(schema, registry=registry, format_checker=_format_checker())

    def faults(self, value: Any, at: str = "") -> list[Fault]:
        """Every fault of a value; pointers begin with `at`."""
        if self._quick.is_valid(value):
            return []
        faults = [fault for error in self._thorough.iter_errors(value) for fault in _faults_of(error, at)]
        return list(dict.fromkeys(faults)) or [Fault("invalid_field", "the value is not valid", at)]


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterable[jsonschema.ValidationError]:
    # `re` can take seconds on a hostile pair of pattern and text; the compiled validator's engine is linear.
    if validator.is_type(instance, "string") and not _linear_pattern(pattern).is_valid(instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


@cache
def _linear_pattern(pattern: str) -> Any:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())


_Thorough = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


def _format_checker() -> jsonschema.FormatChecker:
    checker = jsonschema.FormatChecker()
    for name, check in FORMATS.items():
        checker.checks(name)(check)
    return checker


def _faults_of(error: jsonschema.ValidationError, at: str) -> Iterable[Fault]:
    pointer = at + pointer_to(*error.absolute_path)
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        for name in _unexpected(error):
            yield Fault("unknown_field", pointer=pointer + pointer_to(name))
    elif error.validator == "required":
        name = next(name for name in error.validator_value if error.message.startswith(repr(name)))
        yield Fault("invalid_field", "it is missing", pointer + pointer_to(name))
    elif error.validator == "format":
        yield Fault("invalid_field", f"{error.instance!r} is not {called(error.validator_value)}"[:LONGEST_REASON], pointer)
    else:
        yield Fault("invalid_field", error.message[:LONGEST_REASON], pointer)


def _unexpected(error: jsonschema.ValidationError) -> list[str]:
    """The names that jsonschema only says inside its message, each as Python shows it."""
    return [name for name in error.instance if repr(name) in error.message]
