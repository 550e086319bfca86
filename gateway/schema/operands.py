"""The rules of the values of operations: each is coerced and validated by the field that its operation changes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.core.pointer import split_pointer
from gateway.schema.function_types import mismatch
from gateway.schema.places import CANONICAL, CONSTRAINTS, NO_MEMBERS, Place
from gateway.schema.table import ANY, INVALID, Node
from gateway.schema.validation import JSONSchema

if TYPE_CHECKING:
    from gateway.schema.table_compiler import TableCompiler

MAX_OPERANDS = 1_024
"""Operations whose rule is kept. Clients choose the names of own fields."""

_VALIDATED_BY = {"set": (CANONICAL, CONSTRAINTS), "add": (CONSTRAINTS,), "set_first": (CONSTRAINTS,)}
"""By function, the rules of a field that apply to the argument."""


class OperandTarget(Struct, frozen=True):
    """What operations change: a profile or a subscription. `known` are members that its rules depend on."""

    places: Sequence[Place]
    declared: JSONSchema
    known: Mapping[str, Any]
    is_subscription: bool = False


class Operands(dict[tuple[Any, ...], Node]):
    """By function, pointer, submatch, whether it needs an object, and whether it has one: the node of the value."""

    def __init__(self, compiler: "TableCompiler", target: OperandTarget, places: Sequence[Place]) -> None:
        self._compiler = compiler
        self._target = target
        self._places = places
        self._is_open = compiler.closed_names(target)

    def __missing__(self, key: tuple[Any, ...]) -> Node:
        if len(self) >= MAX_OPERANDS:
            self.clear()
        node = self[key] = self._node(*key)
        return node

    def _node(self, function: Any, pointer: Any, submatch: Any, needs_object: bool, is_object: bool) -> Node:
        if not isinstance(pointer, str):
            return Node({"value": self._compiler.rule(self._places, {})}, ANY)
        declarations, names = self._compiler.declarations, split_pointer(pointer)
        field = declarations.field({"pointer": pointer}, self._target.declared)
        declared = self._declared(function, field, submatch, needs_object, is_object)
        places = self._field_places(names, _VALIDATED_BY.get(function, ()))
        rule = self._compiler.rule([*self._places, *(places or ())], declared)
        operation = {"function": function, **({"object_only": ""} if needs_object else {})}
        is_valid = function is None or (
            bool(names)
            and places is not None
            and (function != "set" or not is_object or self._is_memberwise(places))
            and mismatch(operation, field, declarations.resolve(field.get("items", {}))) is None
            and self._is_open(names)
        )
        return Node({"value": rule}, ANY, None if is_valid else INVALID)

    def _field_places(self, names: Sequence[str], sources: Sequence[str]) -> list[Place] | None:
        """Return the rules of a field, or None if they depend on more than its value."""
        places = [place for place in self._target.places if place.source in sources]
        for index, name in enumerate(names):
            resolved = self._compiler.places.resolve(places, NO_MEMBERS if index else self._target.known, "object")
            if resolved.delegated or resolved.open_conditions or not resolved.allows("object"):
                return None
            if index and any(place.get("required") for place in resolved.expressed):
                return None
            places = resolved.below(name)
        return places

    def _is_memberwise(self, places: Sequence[Place]) -> bool:
        """Whether an object is valid if each of its members is: then a union of valid objects is valid, too."""
        resolved = self._compiler.places.resolve(places, kind="object")
        if resolved.delegated or resolved.open_conditions:
            return False
        names = {name for place in resolved.expressed for name in place.get("properties", ())}
        members = [resolved.others(), *map(resolved.below, names)]
        return all(self._is_memberwise(places) for places in members if places)

    def _declared(
        self, function: Any, field: JSONSchema, submatch: Any, needs_object: bool, is_object: bool
    ) -> JSONSchema:
        """Return the declaration by which the value of an operation is coerced."""
        match function:
            case "incr" | "max":
                return {"type": "number"}
            case "add" | "delete" | "set_first":
                return {"type": "array", **field}
            case "upsert" if "items" in field and is_object:
                return self._compiler.declarations.resolve(field["items"])
            case "upsert":
                return self._at_submatch(field, submatch or "")
            case "set" if needs_object and field.get("type") == "array":
                return {}  # No list with one element: validation rejects it.
        return field

    def _at_submatch(self, declared: JSONSchema, submatch: str) -> JSONSchema:
        declared = declared.get("items", declared)
        for name in submatch.split("."):
            declared = self._compiler.declarations.member(declared, name)
        return declared
