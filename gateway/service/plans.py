"""Plans: what is the same for every request of a call, decided once.

A plan replaces what a request would otherwise decide again: the bounds of its body, and the type of its commands.
"""

from collections.abc import Callable

from msgspec import Struct

from gateway.core.model import CommandType
from gateway.core.rights import READ
from gateway.dialects.protocol import BATCHES, COMMAND_TYPES, IMPORT, UPDATE, Call, Credential, Dialect, Request
from gateway.media import Bounds
from gateway.settings import Settings

MAX_FULL_PROFILES = 100
"""Profiles of a batch that may have the maximum number of nodes; the others are smaller."""


def bounds_of(settings: Settings) -> Bounds:
    """Return the limits of a body with one profile."""
    return Bounds(settings.max_depth, settings.max_nodes, settings.max_name, settings.max_text, settings.max_items)


class Plan(Struct, frozen=True):
    """How the requests of one call are carried out."""

    dialect: Dialect
    call: Call
    bounds: Bounds
    """The limits of a decoded body."""
    type: CommandType
    is_write: bool
    is_single_update: bool
    """Whether a request is one change of the store, which may compare the version of the registry itself."""
    credential: Callable[[Request], Credential]
    """Returns the credential of a request. Raises `Refusal`."""
    keeps_sources: bool
    """Whether a job keeps what its rejected commands were parsed from."""


class Plans:
    """Creates the plan of each call. `max_batch` is the maximum number of profiles in a request."""

    def __init__(self, single: Bounds, max_batch: int) -> None:
        self._single = single
        nodes = single.nodes * min(max_batch, MAX_FULL_PROFILES)
        items = max(single.items, max_batch)
        self._batch = Bounds(single.depth + 2, nodes, single.name, single.text, items)  # two levels lead to a profile

    def plan(self, dialect: Dialect, call: Call) -> Plan:
        """Return the plan of a call."""
        return Plan(
            dialect=dialect,
            call=call,
            bounds=self._batch if call.operation in BATCHES else self._single,
            type=COMMAND_TYPES[call.operation],
            is_write=call.right != READ,
            is_single_update=call.operation == UPDATE,
            credential=call.credential or dialect.credential,
            keeps_sources=call.operation == IMPORT,
        )
