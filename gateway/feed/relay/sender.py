"""Sends the changes of a database to one account of a vendor."""

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.core.journal import started
from gateway.core.model import JournalEntry
from gateway.dialects.outgoing import OutgoingRequest
from gateway.feed.answers import Answer
from gateway.feed.delivery import MAX_RUNNING
from gateway.feed.events import ERASED
from gateway.feed.relay.account import DONE, AccountSession
from gateway.feed.relay.choices import new_opt_outs
from gateway.feed.relay.profiles import MOVES, ProfileReader, frees_identifier, merged_into, opts_out, removes
from gateway.feed.relay.removals import RemovalSender
from gateway.feed.relay.state_sender import StateSender
from gateway.feed.retries import Schedule
from gateway.stores.errors import Unavailable

SCHEDULE = Schedule(first_pause=500, max_pause=150_000, jitter=1.0)


class RelaySender:
    """See `Sender`. `id` is that of the relay."""

    schedule = SCHEDULE

    def __init__(self, id: str, session: AccountSession, reader: ProfileReader) -> None:
        self.states = StateSender(session, reader)
        self.pending_notes = session.pending_notes
        self._outgoing = session.account.outgoing
        batches = self._outgoing.batches
        self.max_running = batches.most if batches else MAX_RUNNING
        self._id = id
        self.session = session
        self._reader = reader
        self._removals = RemovalSender(session, reader, self.states)

    def selects(self, entry: JournalEntry) -> bool:
        """Return whether an entry changes something, and did not come from the account itself.

        Of an erased person only the erasure is sent.
        """
        if entry.origin.token in self.session.account.ignored:
            return False
        return entry.kind == "erase" or bool(entry.members and entry.members != ERASED)

    def rank(self, entry: JournalEntry | None) -> int:
        """Return 0 for removals, 1 for opt-outs and what frees an identifier for another profile, 2 for all others."""
        if entry is None or removes(entry):
            return 0
        return 1 if self._opts_out(entry) or frees_identifier(entry) else 2

    def group(self, entries: Sequence[JournalEntry]) -> int:
        """Return how many entries are sent as one state. An opt-out is sent before what follows it, as is a start."""
        first = entries[0]
        for index, each in enumerate(entries):
            is_alike = each.origin.triggers == first.origin.triggers and (each.kind in MOVES) == (first.kind in MOVES)
            if index and (removes(each) or not is_alike):
                return index
            if removes(each) or self._opts_out(each) or started(each):
                return index + 1
        return len(entries)

    async def send(self, entries: Sequence[JournalEntry], attempt: int) -> Answer:
        """Send the state after some entries. Opt-outs and removals are tried for as long as they may pass."""
        try:
            answer = await self._send(entries, attempt)
        except Unavailable:
            return Answer(None, "the store does not answer", is_kept=True)
        return replace(answer, is_kept=removes(entries[-1]) or self._opts_out(entries[-1]))

    async def requests(self, entry: JournalEntry) -> list[OutgoingRequest]:
        """Return the requests that an entry would be sent with now."""
        vendor_id = (await self.session.notes([entry.profile])).get(entry.profile)
        if removes(entry):
            return await self._removals.requests(entry, vendor_id)
        state = await self._reader.state([entry], vendor_id, new_opt_outs(entry, self._outgoing))
        return self.states.render(state).requests if state else []

    def _opts_out(self, entry: JournalEntry) -> bool:
        return opts_out(entry) or bool(new_opt_outs(entry, self._outgoing))

    async def _send(self, entries: Sequence[JournalEntry], attempt: int) -> Answer:
        last = entries[-1]
        key = f"{self._id}-{last.position}-{attempt}"
        vendor_id = (await self.session.notes([last.profile])).get(last.profile)
        if removes(last):
            return await self._removals.send(last, vendor_id, key, attempt)
        for destination in filter(None, map(merged_into, entries)) if vendor_id else ():
            merged = await self._removals.send_merge(destination, str(vendor_id), f"{key}-merge", attempt)
            if not merged.is_success:
                return merged
        state = await self._reader.state(entries, vendor_id, new_opt_outs(last, self._outgoing))
        return DONE if state is None else await self.states.send(state, key, attempt)
