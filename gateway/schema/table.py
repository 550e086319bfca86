"""The table of a type of command: one loop over it validates a command, and coerces it where its leaves are text.

Both loops keep their place in a list, so a command of any depth costs one call. They give a verdict and no reasons.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from gateway.core.typed_text import TypedText
from gateway.schema.coercion import WHITE_SPACE

Check: TypeAlias = Callable[[Any], object]
"""Returns something true for a valid value. Most are written in C and cost no Python call."""

Action: TypeAlias = Any
"""What a value of one type needs: None if it is valid as it is, a `Check`, or the `Node` of its members."""

REJECT: Check = ().__contains__

ABSENT, OTHER = None, object()
"""The keys of a discriminator for a value without the member, and for any other value that no rule names."""


class Rule(Struct, eq=False):
    """The rule of one place: an action for each exact type that is valid, and how text is coerced before it."""

    actions: dict[type, Action]
    text: Callable[[str], Any] | None = None
    """Coerces text. None: it stays as it is."""
    empty: Any = ""
    """What an empty text becomes after `text`."""
    is_list: bool = False
    """Whether a single value is a list with one item."""
    is_declared: bool = False
    """Whether a declared type takes precedence over `xsi:type`."""


class Discriminator(Struct, eq=False):
    """Chooses the node of an object by the value of one member, which is a string, an integer or absent."""

    member: str
    rule: Rule
    nodes: Mapping[Any, "Node"]
    is_nullable: bool
    """Whether null counts as absent."""


class ContainerRules(Struct, eq=False):
    """The rules of a whole object or list."""

    checks: tuple[Check, ...] = ()
    required_values: tuple[str, ...] = ()
    """Members that must be there and not be null."""
    sizes: range | None = None
    """The valid lengths of a list."""
    operands: Mapping[Any, "Node"] | None = None
    """For an operation: the node of its `value`, by function, pointer, submatch and what kind of object it needs."""


class Node(Struct, eq=False):
    """The rules of an object, by member, or of a list, whose items all have the rule `others`."""

    members: Mapping[Any, Rule]
    others: Rule
    container_rules: ContainerRules | None = None
    discriminator: Discriminator | None = None
    actions: Mapping[Any, Mapping[type, Action]] = {}
    """The actions of the members."""

    def __post_init__(self) -> None:
        self.actions = {name: rule.actions for name, rule in self.members.items()}


ANY = Rule(dict.fromkeys((str, int, float, bool, type(None), dict, list, tuple)))
"""The rule of a place where nothing is declared. A dialect may put a tuple there, such as a path."""

ANYTHING = Node({}, ANY)

INVALID = ContainerRules((REJECT,))
"""The rule of an object or list that is coerced and never valid."""

_DISCRIMINATOR_TYPES = (str, int, type(ABSENT))

OPERAND_NAMES = ("function", "pointer", "submatch")
"""The members of an operation that decide the rule of its value."""


def accepts(command: Any, root: Node) -> bool:
    """Whether a command whose leaves have types is valid."""
    stack = [(command, root)]
    while stack:
        value, node = stack.pop()
        discriminator = node.discriminator
        while discriminator is not None:
            key = value.get(discriminator.member)
            if type(key) not in _DISCRIMINATOR_TYPES or (
                key is None and not discriminator.is_nullable and discriminator.member in value
            ):
                return False
            node = discriminator.nodes[key]
            discriminator = node.discriminator
        actions, others = node.actions, node.others.actions
        for name, member in value.items() if type(value) is dict else enumerate(value):
            action = actions.get(name, others).get(type(member), REJECT)
            if action is None:
                continue
            if type(action) is Node:
                stack.append((member, action))
            elif not action(member):
                return False
        rules = node.container_rules
        if rules is None:
            continue
        for check in rules.checks:
            if not check(value):
                return False
        for name in rules.required_values:
            if value.get(name) is None:
                return False
        if rules.sizes is not None and len(value) not in rules.sizes:
            return False
        if rules.operands is not None and "value" in value:
            operand, names = value["value"], map(value.get, OPERAND_NAMES)
            key = (*names, "object_only" in value, type(operand) is dict)
            stack.append(({"value": operand}, rules.operands[key]))
    return True


def coerce(command: Any, root: Node) -> tuple[Any, bool]:
    """Return a command whose leaves are text with each leaf coerced to its declared type, and whether it is valid.

    An undeclared leaf has the type of its `xsi:type`, else it stays text, as does one that cannot be coerced.
    """
    result: dict[str, Any] = {}
    is_valid = True
    visited: list[tuple[Any, ContainerRules]] = []
    stack: list[tuple[Any, Node, Any]] = [(command, root, result)]
    while stack:
        value, node, copy = stack.pop()
        while (discriminator := node.discriminator) is not None:
            key = value.get(discriminator.member)
            if isinstance(key, str) and discriminator.rule.text is not None:
                key = discriminator.rule.text(str(key))
            if type(key) in _DISCRIMINATOR_TYPES and (
                key is not None or discriminator.is_nullable or discriminator.member not in value
            ):
                node = discriminator.nodes[key]
            else:
                is_valid, node = False, discriminator.nodes[OTHER]
        members, others = node.members, node.others
        for name, member in value.items() if type(value) is dict else enumerate(value):
            rule = members.get(name, others)
            kind = type(member)
            if rule.is_list and kind is not list and member is not None:
                # An element without content is null, and any other one is an item.
                is_blank = isinstance(member, str) and not member.strip(WHITE_SPACE)
                member = None if is_blank else [member]
                kind = type(member)
            if kind is TypedText:
                member = str(member) if rule.is_declared else member.value
                kind = type(member)
            if kind is str and rule.text is not None:
                member = rule.text(member)
                if member == "":
                    member = rule.empty
                kind = type(member)
            action = rule.actions.get(kind, REJECT)
            if kind is dict or kind is list:
                copy[name] = inner = {} if kind is dict else [None] * len(member)
                if type(action) is Node:
                    stack.append((member, action, inner))
                    continue
                stack.append((member, ANYTHING, inner))
                visited += [(inner, ContainerRules((action,)))] if action is not None else ()
            else:
                copy[name] = member
                if action is not None and not action(member):
                    is_valid = False
        rules = node.container_rules
        if rules is None:
            continue
        visited.append((copy, rules))
        if rules.operands is not None and "value" in value:
            operand, names = value["value"], map(copy.get, OPERAND_NAMES)
            key = (*names, "object_only" in copy, type(operand) is dict)
            stack.append(({"value": operand}, rules.operands[key], copy))
    return result, is_valid and _are_valid_containers(visited)


def _are_valid_containers(values: Iterable[tuple[Any, ContainerRules]]) -> bool:
    """Whether coerced objects and lists are valid, apart from their members."""
    for value, rules in values:
        for check in rules.checks:
            if not check(value):
                return False
        for name in rules.required_values:
            if value.get(name) is None:
                return False
        if rules.sizes is not None and len(value) not in rules.sizes:
            return False
    return True
