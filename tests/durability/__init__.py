"""Proofs that nothing acknowledged is lost, each a file with a function `run`: `python -m tests.durability [PROOF…]`.

They take minutes, and `make test` runs none of them. Each says what it did in figures, and whether that is sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a proof counted, by name, and whether it holds."""

    figures: Mapping[str, object]
    holds: bool
