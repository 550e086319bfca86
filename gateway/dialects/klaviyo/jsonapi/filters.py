"""The filter parameter: comparisons such as `equals(name,"value")`, joined by commas or `and(…)`.

filter     = calls
calls      = call *("," call)
call       = "and" "(" calls ")" / operator "(" field "," value ")"
value      = word / text / "[" [value *("," value)] "]"
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.dialects.klaviyo.jsonapi.links import invalid_parameter

EQUALITY_OPERATORS = ("equals", "any")
ORDER_OPERATORS = ("greater-than", "greater-or-equal", "less-than", "less-or-equal")
MAX_FILTER_DEPTH = 32
"""Levels of `and(…)` inside one another."""

_TOKEN = re.compile(r"""\s*(?:([(),\[\]])|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"'(),\[\]]+))\s*""")


@dataclass(frozen=True, slots=True)
class FilterCondition:
    """One comparison of a filter."""

    operator: str
    field: str
    values: tuple[str, ...]


def parse_filter(text: str, operators: Mapping[str, tuple[str, ...]]) -> list[FilterCondition]:
    """Return the conditions of a filter, all of which a row must meet. `operators` are those of each field.

    Raises `Refusal`: invalid_parameter.
    """
    try:
        conditions = list(_parse_conditions(_FilterTokens(text))) if text.strip() else []
    except ValueError as reason:
        raise invalid_parameter("filter", f"Invalid filter: {reason}.") from None
    for condition in conditions:
        field, operator = condition.field, condition.operator
        if operator not in operators.get(field, ()):
            raise invalid_parameter("filter", f"'{field[:60]}' cannot be filtered by '{operator[:60]}'.")
    return conditions


class _FilterTokens:
    """The tokens of a filter: signs, words and quoted texts."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def next(self) -> str:
        """Consume and return the next token, without quotes. Raises `ValueError` if there is none."""
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            raise ValueError("it ends too early" if self.is_done() else f"unreadable at position {self._position}")
        self._position = match.end()
        sign, double, single, word = match.groups()
        return next(_unescape(text) for text in (sign, word, double, single) if text is not None)

    def accept(self, sign: str) -> bool:
        """Consume the next token if it is this sign. Return whether it was."""
        match = _TOKEN.match(self._text, self._position)
        if match is None or match[1] != sign:
            return False
        self._position = match.end()
        return True

    def expect(self, sign: str) -> None:
        """Consume this sign. Raises `ValueError` if the next token is another."""
        if not self.accept(sign):
            raise ValueError(f"a {sign} is missing at position {self._position}")

    def is_done(self) -> bool:
        """Return whether all tokens are consumed."""
        return self._position == len(self._text)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _parse_conditions(tokens: _FilterTokens) -> Iterator[FilterCondition]:
    yield from _parse_calls(tokens, MAX_FILTER_DEPTH)
    if not tokens.is_done():
        raise ValueError("there is more than one filter can be")


def _parse_calls(tokens: _FilterTokens, levels: int) -> Iterator[FilterCondition]:
    if levels < 0:
        raise ValueError("it nests too deeply")
    while True:
        operator = tokens.next()
        tokens.expect("(")
        if operator == "and":
            yield from _parse_calls(tokens, levels - 1)
        else:
            yield _parse_comparison(operator, tokens)
        tokens.expect(")")
        if not tokens.accept(","):
            return


def _parse_comparison(operator: str, tokens: _FilterTokens) -> FilterCondition:
    field = tokens.next()
    tokens.expect(",")
    if not tokens.accept("["):
        return FilterCondition(operator, field, (tokens.next(),))
    values = [] if tokens.accept("]") else [tokens.next()]
    while values and not tokens.accept("]"):
        tokens.expect(",")
        values.append(tokens.next())
    return FilterCondition(operator, field, tuple(values))
