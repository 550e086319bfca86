"""Sends the state of one profile, and repairs what the vendor refuses in a way that it names."""

from msgspec import Struct
from msgspec.structs import replace

from gateway.dialects.outgoing import OutgoingRequest, ProfileState, Rendered, VendorAnswer
from gateway.feed.answers import Answer
from gateway.feed.relay.account import CONFLICT_ATTEMPTS, DONE, NOT_FOUND, AccountSession, failure, is_success
from gateway.feed.relay.profiles import ProfileReader

REFUSED = (400, 422)
MAX_OMITTED = 5
"""Fields of one request that are left out because the vendor refuses them."""

QUARANTINE = 10 * 60 * 1000
"""Milliseconds for which a field that was refused is not sent."""

TAKEN = Answer(None, "the account has no profile for it but that of another one here", is_final=True)


class _Attempt(Struct):
    """The state of one attempt: what is sent, how many requests are done, and what was learned.

    `is_new`: the vendor's id is to be learned. `is_renewed`: it was forgotten. `is_separated`: it was another one's.
    """

    state: ProfileState
    rendered: Rendered
    key: str
    number: int
    is_new: bool
    done: int = 0
    repairs: int = 0
    """A repaired request has another Idempotency-Key than the one that was refused."""
    omissions: int = 0
    is_renewed: bool = False
    is_separated: bool = False
    notes: dict[str, str | None] = {}


class StateSender:
    """Sends states. It remembers fields that the vendor refuses by name for a while."""

    def __init__(self, session: AccountSession, reader: ProfileReader) -> None:
        self._session = session
        self._reader = reader
        self._outgoing, self._target = session.account.outgoing, session.account.target
        self._quarantine: dict[str, int] = {}

    def render(self, state: ProfileState) -> Rendered:
        """Return what would be sent for a state."""
        now = self._session.now()
        omitted = {name for name, until in self._quarantine.items() if until > now}
        return self._outgoing.render_change(replace(state, omitted=state.omitted | omitted), self._target)

    async def send(self, state: ProfileState, key: str, attempt: int = 1) -> Answer:
        """Send a state, request by request. What the vendor refuses by name is left out, and a lost id is renewed."""
        work = await self._begin(state, key, attempt)
        while work.done < len(work.rendered.requests):
            request = work.rendered.requests[work.done]
            reply, answer = await self._session.exchange(request, f"{key}-{work.done}-{work.repairs}")
            if is_success(request, answer):
                failed = await self._learn(work, answer)
            elif self._repair(work, request, answer) or await self._resolve(work, answer):
                failed = None
            else:
                failed = failure(request, reply, answer, attempt)
            if failed:
                return replace(failed, notes=work.notes)
        if work.rendered.vendor_id:
            work.notes[state.id] = work.rendered.vendor_id
        await self._session.skip(work.rendered.skipped)
        return replace(DONE, notes=work.notes)

    async def _begin(self, state: ProfileState, key: str, attempt: int) -> _Attempt:
        """Return an attempt. Where the profile gets another id at the vendor, all of it is sent."""
        is_new = state.vendor_id is None
        if is_new and self._outgoing.identifiers:
            state = replace(state, omitted=state.omitted | await self._shared_identifiers(state))
        if self._target.replaces:
            state = self._reader.as_whole(state)
        rendered = self.render(state)
        if not is_new and rendered.vendor_id not in (None, state.vendor_id):
            state = self._reader.as_whole(state)
            rendered = self.render(state)
        return _Attempt(state, rendered, key, attempt, is_new)

    async def _shared_identifiers(self, state: ProfileState) -> set[str]:
        """Return the identifiers of a new profile by which the vendor would overwrite that of another one here."""
        names = self._outgoing.identifiers
        found = await self._reader.sharing(state, names)
        return {names[kind] for kind, others in found.items() if await self._session.notes(others)}

    async def _learn(self, work: _Attempt, answer: VendorAnswer) -> Answer | None:
        """Continue with the next request. With the vendor's id of the profile there may be more of them."""
        work.done += 1
        state, vendor_id = work.state, answer.vendor_id
        if not work.is_new or vendor_id is None:
            return None
        for other in await self._session.sharing(vendor_id):
            if other != state.id and (owner := await self._reader.find(other)):
                return await self._separate(work, await self._reader.whole_state(owner, vendor_id))
        self._session.add_vendor_id(state.id, vendor_id)
        work.is_new, work.notes = False, {**work.notes, state.id: vendor_id}
        if state.vendor_id is None:
            work.state = replace(state, vendor_id=vendor_id)
            work.rendered = self.render(work.state)
        return None

    async def _separate(self, work: _Attempt, owner: ProfileState) -> Answer | None:
        """Give the vendor's profile of another one here, which was overwritten, its own state again.

        The vendor found it by an identifier that both have here, or that it had from a merge there. This state is sent
        once more without the one, or after a split; where neither helps, return the answer that gives it up.
        """
        shared = await self._shared_identifiers(work.state) - work.state.omitted
        restored = self.render(self._reader.beside(owner, work.state)).requests
        split = []
        if not (shared or work.is_separated):
            split = self._outgoing.render_split(owner, work.state, self._target)
        key = f"{work.key}-{work.repairs}-{owner.id}"
        if failed := await self._session.send_all([*restored, *split], key, work.number):
            return failed
        if not (shared or split):
            return TAKEN
        work.is_separated, work.done = True, 0
        work.state = replace(self._reader.beside(work.state, owner), omitted=work.state.omitted | shared)
        self._render_again(work)
        return None

    def _repair(self, work: _Attempt, request: OutgoingRequest, answer: VendorAnswer) -> bool:
        """Prepare the request again, if it can succeed in another form."""
        state = work.state
        if answer.status in REFUSED and answer.refused and len(state.omitted) < MAX_OMITTED:
            self._quarantine[answer.refused] = self._session.now() + QUARANTINE
            work.state = replace(state, omitted=state.omitted | {answer.refused})
        elif answer.status == NOT_FOUND and state.vendor_id and not work.is_renewed:
            work.is_renewed = work.is_new = True
            work.notes = {**work.notes, state.id: None}
            work.state = self._reader.as_new(state)
        else:
            return False
        return self._render_again(work) and work.rendered.requests[work.done] != request

    def _render_again(self, work: _Attempt) -> bool:
        """Render the state of an attempt, which was repaired. Return whether there still is a request to send."""
        work.rendered, work.repairs = self.render(work.state), work.repairs + 1
        return work.done < len(work.rendered.requests)

    async def _resolve(self, work: _Attempt, answer: VendorAnswer) -> bool:
        """Prepare a request again of which another profile at the vendor has an identifier.

        The change that frees the identifier may still be on its way, and is waited for. Then the request goes to that
        profile, unless it is another one's here, or without the identifier. Or the two there are merged.
        """
        other, state = answer.duplicate, work.state
        if not other or other == state.vendor_id:
            return False
        is_free = not await self._session.sharing(other)
        merges, is_last = self._target.merges and is_free, work.number >= CONFLICT_ATTEMPTS
        if merges and state.vendor_id and not is_last:
            for number, request in enumerate(self._outgoing.render_merge(other, state.vendor_id, self._target, True)):
                await self._session.exchange(request, f"{work.key}-{number}-merge")
            return False
        if state.vendor_id is None and is_free and (merges or is_last):
            work.state = replace(state, vendor_id=other)
            return self._render_again(work)
        return is_last and self._omit_identifier(work)

    def _omit_identifier(self, work: _Attempt) -> bool:
        """Prepare a request without one of its identifiers, the next at each call, and at last without any."""
        names = [*self._outgoing.identifiers.values()]
        choices = [*([each] for each in names), names]
        if work.omissions == len(choices):
            return False
        omitted = work.state.omitted.difference(names).union(choices[work.omissions])
        work.state, work.omissions = replace(work.state, omitted=omitted), work.omissions + 1
        return self._render_again(work)
