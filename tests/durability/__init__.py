"""Proofs that nothing acknowledged is lost, each a file with a function `run`: `python -m tests.durability [PROOF…]`.

They take minutes, and `make test` runs none of them. Each returns its figures, and whether it passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The figures of a proof, by name, and whether it passes."""

    figures: Mapping[str, object]
    passes: bool
