"""The stages of a request, for metrics and traces."""

from collections.abc import Iterator, Sequence

STAGES = ("receive", "prepare", "store", "render")
"""Receive the body; decode, authorize, parse and validate; wait for a turn, find and store; render and send."""


def intervals(started: float, stage_ends: Sequence[float], ended: float) -> Iterator[tuple[str, float, float]]:
    """Return the name, the start and the end of each stage that a request reached. The last one lasts to its end."""
    return zip(STAGES, (started, *stage_ends), (*stage_ends, ended), strict=False)
