"""Parses numbers the same way in every media type: exactly, or not at all."""

from decimal import Decimal, DecimalException
from math import isfinite

INTEGERS = range(-(2**63), 2**63)
"""Integers are signed and have 64 bits: every store and every client supports these."""

FLOAT_DIGITS = 17
"""Digits that identify a 64-bit float. A writer may round to so many; more digits would be lost."""


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
    is_exact = isfinite(value) and Decimal(repr(value)) == exact
    if exact.adjusted() < 20 and exact == exact.to_integral_value():
        whole = int(value) if is_exact else int(exact)
        return whole if whole in INTEGERS else value if is_exact else None
    is_rounded = isfinite(value) and value != 0 and len(exact.as_tuple().digits) <= FLOAT_DIGITS
    return value if is_exact or is_rounded else None
