"""Sends the changes of a database to one account of a vendor."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.model import JournalEntry
from gateway.core.subscribers import Subscriber
from gateway.dialects.outgoing import Outgoing, OutgoingRequest, ProfileState, Rendered, Target, VendorAnswer
from gateway.feed.answers import Answer
from gateway.feed.events import ERASED
from gateway.feed.relay.masking import mask_values
from gateway.feed.relay.profiles import ProfileReader, opts_out, removes
from gateway.feed.relay.replies import AccountReply
from gateway.feed.retries import Schedule
from gateway.media import json
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store

if TYPE_CHECKING:
    from gateway.feed.relay.client import AccountClient

SCHEDULE = Schedule(first_pause=500, max_pause=150_000, jitter=1.0)

SKIPPED = "skipped"
"""The note with the number of values that were not sent, by pointer. Other notes are vendor's ids, by profile."""

STOPPING = (401, 402, 403)
"""Statuses after which every request would be refused: credential, tariff, right."""

PASSING = (408, 425, 429)
CONFLICT, NOT_FOUND, REFUSED = 409, 404, (400, 422)
CONFLICT_ATTEMPTS = 5
"""A conflict may pass, for example when a merge is still to be sent; so often it is tried."""

MAX_OMITTED = 5
"""Fields of one request that are left out because the vendor refuses them."""

QUARANTINE = 10 * 60 * 1000
"""Milliseconds for which a field that was refused is not sent."""

DONE = Answer(204, "")


class Account(Struct, frozen=True):
    """The account: how it is reached, and what is configured there. `ignored` are tokens that the vendor uses here."""

    client: "AccountClient"
    outgoing: Outgoing
    target: Target
    ignored: frozenset[str] = frozenset()


class _Attempt(Struct):
    """The state of one attempt: what is sent, how many requests are done, and what was learned."""

    state: ProfileState
    rendered: Rendered
    key: str
    done: int = 0
    is_renewed: bool = False
    notes: dict[str, str | None] = {}


class RelaySender:
    """See `Sender`. `now` returns milliseconds since 1970."""

    schedule = SCHEDULE

    def __init__(
        self, store: Store, subscriber: Subscriber, account: Account, reader: ProfileReader, now: Callable[[], int]
    ) -> None:
        self._store = store
        self._subscriber = subscriber
        self._account = account
        self._reader = reader
        self._now = now
        self._quarantine: dict[str, int] = {}
        self._skipped: Counter[str] | None = None

    def selects(self, entry: JournalEntry) -> bool:
        """Return whether an entry changes something, and did not come from the account itself.

        Of an erased person only the erasure is sent.
        """
        if entry.origin.token in self._account.ignored:
            return False
        return entry.kind == "erase" or bool(entry.members and entry.members != ERASED)

    def rank(self, entry: JournalEntry | None) -> int:
        """Return 0 for removals, whose identifiers a later profile may have, 1 for opt-outs, and 2 for all others."""
        if entry is None or removes(entry):
            return 0
        return 1 if opts_out(entry) else 2

    def group(self, entries: Sequence[JournalEntry]) -> int:
        """Return how many entries are sent as one state. An opt-out is sent before what follows it."""
        for index, each in enumerate(entries):
            if index and (removes(each) or each.origin.triggers != entries[0].origin.triggers):
                return index
            if removes(each) or opts_out(each):
                return index + 1
        return len(entries)

    async def send(self, entries: Sequence[JournalEntry], attempt: int) -> Answer:
        """Send the state after some entries."""
        last = entries[-1]
        key = f"{self._subscriber.id}-{last.position}-{attempt}"
        try:
            vendor_id = (await self._notes([last.profile])).get(last.profile)
            if removes(last):
                return await self._send_removal(last, vendor_id, key, attempt)
            state = await self._reader.state(entries, vendor_id)
            return DONE if state is None else await self.send_state(state, key, attempt)
        except Unavailable:
            return Answer(None, "the store does not answer")

    def render(self, state: ProfileState) -> Rendered:
        """Return what would be sent for a state."""
        now = self._now()
        omitted = {name for name, until in self._quarantine.items() if until > now}
        return self._account.outgoing.render_change(
            replace(state, omitted=state.omitted | omitted), self._account.target
        )

    async def send_state(self, state: ProfileState, key: str, attempt: int = 1) -> Answer:
        """Send a state, request by request. What the vendor refuses by name is left out, and a lost id is renewed."""
        work = _Attempt(state, self.render(state), key)
        while work.done < len(work.rendered.requests):
            request = work.rendered.requests[work.done]
            reply = await self._account.client.send(request, f"{key}-{work.done}")
            answer = self._read(reply)
            if _is_success(request, answer):
                self._learn(work, answer)
            elif not self._repair(work, request, answer):
                return replace(_failure(request, reply, answer, attempt), notes=work.notes)
        if work.rendered.vendor_id:
            work.notes[state.id] = work.rendered.vendor_id
        return replace(DONE, notes={**work.notes, **await self._count(work.rendered.skipped)})

    def _read(self, reply: AccountReply) -> VendorAnswer:
        if reply.status is None:
            return VendorAnswer(0, reply.reason)
        return self._account.outgoing.parse_answer(reply.status, reply.tree)

    def _learn(self, work: _Attempt, answer: VendorAnswer) -> None:
        """Continue with the next request. With the vendor's id of the profile there may be more of them."""
        work.done += 1
        if answer.vendor_id and work.state.vendor_id is None:
            work.notes = {**work.notes, work.state.id: answer.vendor_id}
            work.state = replace(work.state, vendor_id=answer.vendor_id)
            work.rendered = self.render(work.state)

    def _repair(self, work: _Attempt, request: OutgoingRequest, answer: VendorAnswer) -> bool:
        """Prepare the request again, if it can succeed in another form."""
        state = work.state
        if answer.status in REFUSED and answer.refused and len(state.omitted) < MAX_OMITTED:
            self._quarantine[answer.refused] = self._now() + QUARANTINE
            work.state = replace(state, omitted=state.omitted | {answer.refused})
        elif answer.status == NOT_FOUND and state.vendor_id and not work.is_renewed:
            work.is_renewed, work.notes = True, {**work.notes, state.id: None}
            work.state = self._reader.as_new(state)
        else:
            return False
        work.rendered = self.render(work.state)
        return work.done < len(work.rendered.requests) and work.rendered.requests[work.done] != request

    async def _send_removal(self, entry: JournalEntry, vendor_id: str | None, key: str, attempt: int) -> Answer:
        """Merge a profile into another one, or remove it, or erase the person; then forget its id."""
        for number, request in enumerate(await self._removal_requests(entry, vendor_id)):
            reply = await self._account.client.send(request, f"{key}-{number}")
            answer = self._read(reply)
            if not _is_success(request, answer):
                return _failure(request, reply, answer, attempt)
        return replace(DONE, notes={entry.profile: None})

    async def _removal_requests(self, entry: JournalEntry, vendor_id: str | None) -> list[OutgoingRequest]:
        outgoing, target = self._account.outgoing, self._account.target
        destination = await self._reader.destination(entry.profile) if entry.kind == "merge" else None
        other = (await self._notes([destination])).get(destination) if destination else None
        if vendor_id and other and (requests := outgoing.render_merge(vendor_id, other, target)):
            return requests
        before = next((each.before for each in entry.members if isinstance(each.before, dict)), {})
        state = ProfileState(entry.profile, before if entry.kind != "erase" else {}, vendor_id=vendor_id)
        return outgoing.render_removal(state, target, entry.kind == "erase").requests

    async def _notes(self, names: Sequence[str]) -> dict[str, str]:
        return await self._store.notes(self._subscriber.database, self._subscriber.id, names)

    async def _count(self, skipped: Sequence[str]) -> dict[str, str | None]:
        """Count the values that were not sent. Return the note about them."""
        if not skipped:
            return {}
        if self._skipped is None:
            found = (await self._notes([SKIPPED])).get(SKIPPED)
            self._skipped = Counter(json.decode(found.encode()) if found else {})
        self._skipped.update(each or "/" for each in skipped)
        return {SKIPPED: json.encode(dict(self._skipped)).decode()}


def _is_success(request: OutgoingRequest, answer: VendorAnswer) -> bool:
    return 200 <= answer.status < 300 or (request.missing_ok and answer.status == NOT_FOUND)


def _failure(request: OutgoingRequest, reply: AccountReply, answer: VendorAnswer, attempt: int) -> Answer:
    """Return what a reply means for the delivery. The vendor's words are kept, without the values that were sent."""
    status = answer.status
    words = mask_values(answer.words, request)
    reason = f"{request.method} {mask_values(request.path, request)}: " + (
        f"HTTP {status} {words}" if status else words
    )
    passes = not status or status in PASSING or status >= 500
    return Answer(
        status or None,
        reason.strip(),
        reply.retry_after,
        is_final=not (passes or status in STOPPING or (status == CONFLICT and attempt < CONFLICT_ATTEMPTS)),
        stops=status in STOPPING,
    )
