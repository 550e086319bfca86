"""Sends that a profile does not exist any more: it was removed, erased, or merged into another one."""

from msgspec.structs import replace

from gateway.core.model import Document, JournalEntry
from gateway.dialects.outgoing import OutgoingRequest, ProfileState
from gateway.feed.answers import Answer
from gateway.feed.relay.account import DONE, AccountSession
from gateway.feed.relay.profiles import ProfileReader
from gateway.feed.relay.state_sender import StateSender


class RemovalSender:
    """Sends removals. What the vendor knew of a profile is forgotten after its removal."""

    def __init__(self, session: AccountSession, reader: ProfileReader, states: StateSender) -> None:
        self._session = session
        self._reader = reader
        self._states = states
        self._outgoing, self._target = session.account.outgoing, session.account.target

    async def send(self, entry: JournalEntry, vendor_id: str | None, key: str, attempt: int) -> Answer:
        """Merge a profile into another one, or remove it, or erase the person; then forget its id.

        Profiles here that have the same one at the vendor were created after a removal that was delayed. They are sent
        anew.
        """
        requests = await self.requests(entry, vendor_id)
        if failed := await self._session.send_all(requests, key, attempt):
            return failed
        notes: dict[str, str | None] = {entry.profile: None}
        for profile in await self._session.sharing(vendor_id) if vendor_id and requests else ():
            if profile != entry.profile:
                again = await self._send_as_new(profile, key, attempt)
                notes |= again.notes
                if not again.is_success:
                    return replace(again, notes=notes)
        return replace(DONE, notes=notes)

    async def send_merge(self, destination: str, vendor_id: str, key: str, attempt: int) -> Answer:
        """Merge a profile, which stays, into another one, if the vendor knows both and can do it."""
        other = (await self._session.notes([destination])).get(destination)
        requests = self._outgoing.render_merge(vendor_id, other, self._target, False) if other else []
        return await self._session.send_all(requests, key, attempt) or DONE

    async def requests(self, entry: JournalEntry, vendor_id: str | None) -> list[OutgoingRequest]:
        """Return the requests of a merge, a removal or an erasure."""
        if entry.kind == "merge":
            destination = await self._reader.destination(entry.profile)
            other = (await self._session.notes([destination])).get(destination) if destination else None
            if vendor_id and other == vendor_id:
                return []
            if vendor_id and other and (found := self._outgoing.render_merge(vendor_id, other, self._target, True)):
                return found
            if not self._outgoing.removes_sources:
                return []
        before: Document = next((each.before for each in entry.members if isinstance(each.before, dict)), {})
        if vendor_id is None and await self._reader.has_successor(before):
            return []
        is_erasure = entry.kind == "erase"
        state = ProfileState(entry.profile, {} if is_erasure else before, vendor_id=vendor_id)
        return self._outgoing.render_removal(state, self._target, is_erasure).requests

    async def _send_as_new(self, profile: str, key: str, attempt: int) -> Answer:
        found = await self._reader.find(profile)
        if found is None:
            return replace(DONE, notes={profile: None})
        return await self._states.send(await self._reader.whole_state(found, None), f"{key}-{profile}", attempt)
