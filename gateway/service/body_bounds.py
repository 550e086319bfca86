"""The bounds of a decoded body, by call."""

from gateway.dialects.protocol import BATCHES, Call
from gateway.media import Bounds

MAX_FULL_PROFILES = 100
"""Profiles of a batch that may have the maximum number of nodes; the others are smaller."""


class BodyBounds:
    """The bounds of one profile, and those of a batch. `max_batch` is the maximum number of profiles in a request."""

    def __init__(self, single: Bounds, max_batch: int) -> None:
        self._single = single
        nodes = single.nodes * min(max_batch, MAX_FULL_PROFILES)
        items = max(single.items, max_batch)
        self._batch = Bounds(single.depth + 2, nodes, single.name, single.text, items)  # two levels lead to a profile

    def of(self, call: Call) -> Bounds:
        """Return the bounds for the body of a call."""
        return self._batch if call.operation in BATCHES else self._single
