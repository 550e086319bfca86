"""Erasures: the change that erases a person, and what is done before it so that its step is short."""

import asyncio

from msgspec.structs import replace

from gateway.core.erasure import ErasureEdit
from gateway.core.faults import Refusal
from gateway.core.model import Change, EditResult, JobCursor
from gateway.stores.protocol import Store

CLOCK_MARGIN = 60_000
"""Milliseconds by which the clocks of two processes may differ."""


async def erase(store: Store, change: Change) -> EditResult:
    """Carry out a change whose edit is an erasure. Raises its `Refusal`.

    Most of the person's records are erased before it, in short steps between those of other requests. What comes after
    these is erased with the profiles in one step.
    """
    edit = change.edit
    assert isinstance(edit, ErasureEdit)
    erasure = edit.erasure(edit.select(await store.find(change.database, edit.key)))
    after: JobCursor | None = (0, "")
    while after:
        after = await store.erase(change.database, erasure, after)
        await asyncio.sleep(0)
    last = replace(edit, jobs_since=max(edit.time - CLOCK_MARGIN, 0))
    (result,) = await store.change([replace(change, edit=last)])
    if isinstance(result, Refusal):
        raise result.copy()
    return result
