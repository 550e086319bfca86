"""Compiles the schemas of a type of command into a table: each place once, then it is only followed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import astuple, replace

from gateway.schema.coercion import declared_types, text_rule
from gateway.schema.declarations import Declarations, merge_schemas
from gateway.schema.operands import Operands, OperandTarget
from gateway.schema.places import CANONICAL, NO_MEMBERS, Place, Places, ResolvedPlaces
from gateway.schema.scalar_actions import scalar_actions
from gateway.schema.table import ABSENT, ANY, INVALID, OTHER, Check, ContainerRules, Discriminator, Node, Rule
from gateway.schema.validation import JSONSchema

BY_RESOURCE = "x-by-resource"
"""The keyword of a declared subscription: by id of a resource, the schema of its own fields."""

Path = tuple[str, ...]
"""The names that lead to a value from its command."""

ITEM, OTHERS = "[]", "*"
"""In a path: an item of a list, and a member that is not declared."""

SUBSCRIPTION = ("subscriptions", ITEM)
MERGE_PATCHES = (("profile",), SUBSCRIPTION)
"""The values in which a null removes a member."""

OPERATIONS = (("operations", ITEM), (*SUBSCRIPTION, "operations", ITEM), ("patch", ITEM))
"""The operations whose value is coerced and validated by its place in the profile or subscription."""


class TableCompiler:
    """Compiles rules and nodes. `empty_object` is what an empty element of an object becomes.

    A value is validated by its places, and its text is coerced by its declaration.
    """

    def __init__(
        self,
        places: Places,
        declarations: Declarations,
        empty_object: Mapping[str, Any] | None,
        closed_names: Callable[[OperandTarget], Callable[[list[str]], bool]],
    ) -> None:
        self.places = places
        self.declarations = declarations
        self.closed_names = closed_names
        self._empty_object = empty_object

    def node(self, places: Sequence[Place], declared: JSONSchema, path: Path = ()) -> Node:
        """Return the node of a command, or of another object at a path."""
        return self._object(places, self.declarations.resolve(declared), NO_MEMBERS, path, None)

    def rule(
        self,
        places: Sequence[Place],
        declared: JSONSchema | bool,
        path: Path = (OTHERS,),
        target: OperandTarget | None = None,
    ) -> Rule:
        """Return the rule of a value. `target` contains the operations at `path`."""
        declared = self.declarations.resolve(declared)
        kind = "" if "enum" in declared else next(iter(declared_types(declared)), "")
        resolved = self.places.resolve(places)
        actions = scalar_actions(resolved, self.places)
        if resolved.needs_node("object") or kind == "object":
            is_allowed = resolved.allows("object")
            own = declared if kind == "object" else {}
            node = self._object(places if is_allowed else (), own, NO_MEMBERS, path, target)
            actions[dict] = node if is_allowed else replace(node, container_rules=INVALID)
        elif resolved.allows("object"):
            actions[dict] = None
        if resolved.needs_node("array") or kind == "array":
            node = self._list(places, declared if kind == "array" else {}, path, target)
            actions[list] = node if resolved.allows("array") else replace(node, container_rules=INVALID)
        elif resolved.allows("array"):
            actions[list] = None
        return Rule(actions, *astuple(text_rule(declared, self._empty_object)))

    def _list(self, places: Sequence[Place], declared: JSONSchema, path: Path, target: OperandTarget | None) -> Node:
        resolved = self.places.resolve(places, kind="array")
        items = _as_patches(resolved.items(), (*path, ITEM))
        rule = self.rule(items, declared.get("items", True), (*path, ITEM), target)
        checks, sizes = self._delegated(resolved), resolved.sizes()
        return Node({}, rule, ContainerRules(checks, sizes=sizes) if checks or sizes is not None else None)

    def _object(
        self,
        places: Sequence[Place],
        declared: JSONSchema,
        known: Mapping[str, Any],
        path: Path,
        target: OperandTarget | None,
    ) -> Node:
        resolved = self.places.resolve(places, known, "object")
        unknown = {**resolved.open_conditions}
        if BY_RESOURCE in declared and "resource_id" not in known:
            unknown["resource_id"] = unknown.get("resource_id", frozenset()) | declared[BY_RESOURCE].keys()
        if unknown:
            return self._discriminated(places, declared, known, path, target, unknown)
        declared = _in_resource(declared, known)
        if path in ((), SUBSCRIPTION):
            target = self._target(places, resolved, declared, known, path)
        members = self._members(resolved, declared, path, target)
        others = self.rule(resolved.others(), declared.get("additionalProperties", True), (*path, OTHERS))
        if path in OPERATIONS and target is not None:
            operands = Operands(self, target, resolved.below("value"))
            return Node({**members, "value": ANY}, others, replace(self._container_rules(resolved), operands=operands))
        rules = self._container_rules(resolved)
        return Node(members, others, rules if rules.checks or rules.required_values else None)

    def _discriminated(
        self,
        places: Sequence[Place],
        declared: JSONSchema,
        known: Mapping[str, Any],
        path: Path,
        target: OperandTarget | None,
        unknown: Mapping[str, frozenset[Any]],
    ) -> Node:
        """Return a node that chooses another one by the first unknown member."""
        member = min(unknown)
        rule = self.rule((), declared.get("properties", {}).get(member, True))
        nodes = _Nodes(
            unknown[member], lambda value: self._object(places, declared, {**known, member: value}, path, target)
        )
        return Node({}, ANY, discriminator=Discriminator(member, rule, nodes, any(place.is_patch for place in places)))

    def _members(
        self, resolved: ResolvedPlaces, declared: JSONSchema, path: Path, target: OperandTarget | None
    ) -> dict[str, Rule]:
        own, others = declared.get("properties", {}), declared.get("additionalProperties", True)
        names = dict.fromkeys(name for place in resolved.expressed for name in place.get("properties", ()))
        return {
            name: self.rule(
                _as_patches(resolved.below(name), (*path, name)), own.get(name, others), (*path, name), target
            )
            for name in {**names, **own}
        }

    def _container_rules(self, resolved: ResolvedPlaces) -> ContainerRules:
        required = [(name, place.is_patch) for place in resolved.expressed for name in place.get("required", ())]
        needed = frozenset(name for name, is_value in required if not is_value)
        return ContainerRules(
            (*([needed.issubset] if needed else ()), *self._delegated(resolved)),
            tuple(dict.fromkeys(name for name, is_value in required if is_value)),
        )

    def _delegated(self, resolved: ResolvedPlaces) -> tuple[Check, ...]:
        return (self.places.check(resolved.delegated, is_container=True),) if resolved.delegated else ()

    def _target(
        self,
        places: Sequence[Place],
        resolved: ResolvedPlaces,
        declared: JSONSchema,
        known: Mapping[str, Any],
        path: Path,
    ) -> OperandTarget:
        """Return what the operations of a command or subscription change."""
        own = declared.get("properties", {})
        if path == SUBSCRIPTION:
            fields = {"properties": {"custom_fields": own.get("custom_fields", {})}}
            return OperandTarget(places, fields, known, is_subscription=True)
        return OperandTarget(_as_patches(resolved.below("profile"), ("profile",)), own.get("profile", {}), NO_MEMBERS)


MAX_KEPT_VALUES = 1_000
"""Values of a discriminator for which the look-up of their node is kept."""


class _Nodes(dict[Any, Node]):
    """The nodes of a discriminator, compiled when a value first needs one. Values that no rule names share one."""

    def __init__(self, values: frozenset[Any], compile: Callable[[Any], Node]) -> None:
        self._values = values
        self._compile = compile

    def __missing__(self, value: Any) -> Node:
        is_named = value is ABSENT or value is OTHER or value in self._values
        node = self._compile(value) if is_named else self[OTHER]
        if is_named or len(self) < MAX_KEPT_VALUES:  # clients choose the others
            self[value] = node
        return node


def _in_resource(declared: JSONSchema, known: Mapping[str, Any]) -> JSONSchema:
    """Return a declared subscription with the own fields of its resource."""
    fields = declared.get(BY_RESOURCE, {}).get(known.get("resource_id"))
    return merge_schemas(declared, {"properties": {"custom_fields": fields}}) if fields else declared


def _as_patches(places: Sequence[Place], path: Path) -> list[Place]:
    """Return places with the mark of a merge patch, if the path leads to one. Constraints also apply to nulls."""
    if path not in MERGE_PATCHES:
        return list(places)
    return [replace(place, is_patch=place.source == CANONICAL) for place in places]
