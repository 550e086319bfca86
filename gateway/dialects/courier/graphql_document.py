"""A document of GraphQL as the fields of its one operation: the part of the language that the vendor's library uses.

Source: https://spec.graphql.org/October2021/#sec-Language. Fragments, directives and introspection are refused, so that
a document asks for no more than what is written in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.core.faults import Refusal, refuse

if TYPE_CHECKING:
    from graphql import DocumentNode, FieldNode, OperationDefinitionNode, SelectionSetNode, ValueNode

MAX_TOKENS = 1000
MAX_DEPTH = 16
"""Brackets that are open at once. Each is some calls of the parser."""

MAX_FIELDS = 100
"""Fields of a document, on all levels. Each may be asked of every topic of a user."""

MAX_MESSAGE = 200
"""Characters of a syntax error, which quotes the document."""

BRACKETS = {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}


class Field(Struct, frozen=True):
    """A field with its arguments and the fields of its value. Its value is answered as `key`."""

    key: str
    name: str
    arguments: Mapping[str, Any]
    fields: Sequence["Field"]


def first_word(text: str) -> str:
    """Return the first token of a document. It says what an operation is that has no fragments before it.

    Raises `Refusal`: invalid_query, unknown_call.
    """
    return next(_tokens(text))[1]


def parse_fields(text: str, operation: str, name: Any, variables: Mapping[str, Any]) -> list[Field]:
    """Return the fields of the operation of a document, which must be `query` or `mutation`, as asked for.

    `name` is the name that the operation must have; None or "": any. Values of arguments are texts, booleans, lists,
    objects, floats and None. Raises `Refusal`: invalid_query, unknown_call.
    """
    _check_size(text)
    definition = _operation(_parse(text), operation)
    if name not in (None, "") and (definition.name is None or definition.name.value != name):
        raise invalid("the document has no operation of this name", "/operationName")
    if any(count >= MAX_FIELDS for count, _ in enumerate(_all_fields(definition.selection_set))):
        raise invalid(f"the query has more than {MAX_FIELDS} fields")
    return _fields(definition.selection_set, _values(definition, variables))


def invalid(detail: str, pointer: str = "") -> Refusal:
    """Return the refusal of a document, or of an argument in it, to be raised."""
    return refuse("invalid_query", detail, pointer)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the value of each token up to the end, whose value is ""."""
    try:
        from graphql import GraphQLSyntaxError, Lexer, Source, TokenKind
    except ImportError:
        raise refuse("unknown_call", "this call needs the extra graphql of the gateway") from None

    lexer = Lexer(Source(text))
    try:
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            value = token.value or ""
            if "\0" in value:  # a text may have an escape of what a body may not have
                raise invalid("U+0000 is not allowed in a text")
            yield token.kind.value, value
    except GraphQLSyntaxError as error:
        raise invalid(error.message[:MAX_MESSAGE]) from None
    yield "", ""


def _check_size(text: str) -> None:
    """Raise `Refusal` at a document that would cost the parser too much."""
    depth = 0
    for count, (kind, _) in enumerate(_tokens(text)):
        depth += BRACKETS.get(kind, 0)
        if count >= MAX_TOKENS or depth > MAX_DEPTH:
            raise invalid(f"the query has more than {MAX_TOKENS} tokens, or more than {MAX_DEPTH} open brackets")


def _parse(text: str) -> "DocumentNode":
    from graphql import GraphQLSyntaxError, parse

    try:
        return parse(text, no_location=True, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        raise invalid(error.message[:MAX_MESSAGE]) from None


def _operation(document: "DocumentNode", operation: str) -> "OperationDefinitionNode":
    from graphql import OperationDefinitionNode

    definition, *others = document.definitions
    if others or not isinstance(definition, OperationDefinitionNode) or definition.operation.value != operation:
        raise invalid("a document must be one query or one mutation, without fragments")
    _refuse_directives(definition)
    return definition


def _refuse_directives(node: Any) -> None:
    if node.directives:
        raise invalid("directives are not served")


def _all_fields(selection: "SelectionSetNode") -> "Iterator[FieldNode]":
    """Yield the fields of all levels. Raises `Refusal` at what is no plain field."""
    from graphql import FieldNode

    if not selection.selections:
        raise invalid("the braces of a field are empty")
    for node in selection.selections:
        if not isinstance(node, FieldNode):
            raise invalid("fragments are not served")
        _refuse_directives(node)
        if node.name.value.startswith("__"):
            raise invalid("introspection is not served")
        yield node
        if node.selection_set:
            yield from _all_fields(node.selection_set)


def _values(definition: "OperationDefinitionNode", given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each variable that a document declares: as given, its default, or None."""
    variables = definition.variable_definitions or ()
    defaults = _by_name((each.variable.name.value, each.default_value) for each in variables)
    return {name: given.get(name, _value(node, {}) if node else None) for name, node in defaults.items()}


def _by_name(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a mapping. Raises `Refusal` where a name comes twice, because one of the values would be lost."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise invalid(f"{name} is given twice")
        found[name] = value
    return found


def _fields(selection: "SelectionSetNode | None", variables: Mapping[str, Any]) -> list[Field]:
    fields = [_field(node, variables) for node in selection.selections] if selection else []
    if len({field.key for field in fields}) < len(fields):
        raise invalid("two fields beside each other are answered under one name")
    return fields


def _field(node: Any, variables: Mapping[str, Any]) -> Field:
    arguments = _by_name((each.name.value, _value(each.value, variables)) for each in node.arguments or ())
    key = (node.alias or node.name).value
    return Field(key, node.name.value, arguments, _fields(node.selection_set, variables))


def _value(node: "ValueNode", variables: Mapping[str, Any]) -> Any:
    from graphql import FloatValueNode, IntValueNode, ListValueNode, NullValueNode, ObjectValueNode, VariableNode

    match node:
        case NullValueNode():
            return None
        case ListValueNode():
            return [_value(each, variables) for each in node.values]
        case ObjectValueNode():
            return _by_name((each.name.value, _value(each.value, variables)) for each in node.fields)
        case VariableNode():
            if node.name.value not in variables:
                raise invalid(f"the variable {node.name.value} is not declared")
            return variables[node.name.value]
        case IntValueNode() | FloatValueNode():
            return float(node.value)
    return node.value  # type: ignore[attr-defined]  # of a text, a boolean or an enumeration
