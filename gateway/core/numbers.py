"""What the digits of a number say, in every media type: a value that is kept, or none, and never one that is near."""

from decimal import Decimal, DecimalException
from math import isfinite

INTEGERS = range(-(2**63), 2**63)
"""Integers are 64-bit, signed: what every store and every client can hold."""

FLOAT_DIGITS = 17
"""Digits that tell every 64-bit float from its neighbours: so many may be a writer's rounding, more are meant."""


def parse_number(text: str) -> int | float | None:
    """The number that a decimal literal (`-12.5e3`, ASCII digits) spells: whole ones within 64 bits are integers.

    None where it is too large or too small for a 64-bit float, or its digits say more than one keeps.
    """
    try:
        meant = Decimal(text)
    except DecimalException:
        return None
    if not meant:
        return 0
    kept = float(text)
    is_kept = isfinite(kept) and Decimal(repr(kept)) == meant
    if meant.adjusted() < 20 and meant == meant.to_integral_value():
        whole = int(kept) if is_kept else int(meant)
        return whole if whole in INTEGERS else kept if is_kept else None
    is_rounded = isfinite(kept) and kept != 0 and len(meant.as_tuple().digits) <= FLOAT_DIGITS
    return kept if is_kept or is_rounded else None
