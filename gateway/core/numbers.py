"""Parses numbers the same way in every media type: exactly, or not at all."""

from decimal import Context, Decimal, DecimalException
from math import isfinite
from typing import Any

from msgspec import Struct

from gateway.core.excerpt import excerpt

INTEGERS = range(-(2**63), 2**63)
"""Integers are signed and have 64 bits: every store and every client supports these."""

FLOAT_DIGITS = 17
"""Digits that identify a 64-bit float. A writer may round to so many; more digits would be lost."""

EXACT_DIGITS = Context(prec=34)
"""A number with more digits is a float's own value if it equals it in as many digits as IEEE 754's decimal128 has."""


MAX_UNREPRESENTABLE_LENGTH = 1_000
"""Characters of an unrepresentable number. A longer one rejects its whole body."""


class UnrepresentableNumber(Struct, frozen=True):
    """A number of a body that is neither an integer of 64 bits nor a 64-bit float. `text` is its decimal literal.

    It replaces the number in a tree, so that only the command that contains it is rejected. It is never stored.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def detail(self) -> str:
        """Why the number is rejected."""
        if self.text.lstrip("+-").isdigit():
            return f"the integer {excerpt(int(self.text))} is outside signed 64 bits"
        return f"the number {excerpt(self.text)} is more than a 64-bit float keeps"


def replace_unrepresentable(value: Any) -> Any:
    """Return a tree in which each unrepresentable number is its text."""
    if isinstance(value, dict):
        return {name: replace_unrepresentable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [replace_unrepresentable(item) for item in value]
    return value.text if isinstance(value, UnrepresentableNumber) else value


def parse_number(text: str) -> int | float | None:
    """Return the number of a decimal literal (`-12.5e3`, ASCII digits); a whole one within 64 bits is an integer.

    Return None if it exceeds the range or the precision of a 64-bit float.
    """
    try:
        exact = Decimal(text)
    except DecimalException:
        return None
    if not exact:
        return 0
    value = float(text)
    is_exact = isfinite(value) and value != 0 and _is_equal(value, exact)
    if exact.adjusted() < 20 and exact == exact.to_integral_value():
        whole = int(value) if is_exact else int(exact)
        return whole if whole in INTEGERS else value if is_exact else None
    is_rounded = isfinite(value) and value != 0 and len(exact.as_tuple().digits) <= FLOAT_DIGITS
    if not (is_exact or is_rounded):
        return None
    return int(value) if value.is_integer() and int(value) in INTEGERS else value


def _is_equal(value: float, exact: Decimal) -> bool:
    """Whether a number is the shortest form of a float, or the float's own value with all its digits."""
    return Decimal(repr(value)) == exact or EXACT_DIGITS.plus(Decimal(value)) == EXACT_DIGITS.plus(exact)
