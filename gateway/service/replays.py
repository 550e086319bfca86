"""Replays: a refused request is carried out again, with the token that it had, and happens once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from gateway.core.faults import Fault
from gateway.core.model import Token, Tree
from gateway.core.refused_requests import RefusedRequest
from gateway.core.times import format_time
from gateway.dialects.protocol import Call, Dialect
from gateway.service.catalog import Catalog
from gateway.service.http_messages import Message, Response
from gateway.service.idempotency import KEY_HEADER
from gateway.service.mending import BodyChange, mend
from gateway.service.pipeline import Pipeline
from gateway.service.plans import Plans
from gateway.service.refused_content import decode_body
from gateway.settings import Settings
from gateway.stores.protocol import Store

DAY = 24 * 60 * 60 * 1000
"""Milliseconds."""


class NotReplayable(Exception):
    """A refused request that cannot be carried out again, and the reason."""


def call_of(request: RefusedRequest, dialects: Sequence[Dialect]) -> tuple[Dialect, Call]:
    """Return the dialect and the call of a request. Raises `NotReplayable`."""
    for dialect in dialects:
        for call in dialect.calls:
            if (dialect.name, f"{call.method} {call.path}") == (request.dialect, request.call):
                return dialect, call
    raise NotReplayable(f"this version of the gateway has no call {request.call} of {request.dialect}")


def faults_in_body(request: RefusedRequest, dialects: Sequence[Dialect]) -> list[Fault]:
    """Return the faults of a request with their places in the body."""
    own = next((each for each in dialects if each.name == request.dialect), None)
    return [
        replace(fault, pointer=own.body_pointer(fault.pointer) if own else fault.pointer) for fault in request.faults
    ]


class Replay(Struct, frozen=True):
    """What a replay sent, and the response. `is_accepted`: whether the request was carried out."""

    request: RefusedRequest
    response: Response

    @property
    def is_accepted(self) -> bool:
        return not self.response.fault


def refused_lifetime(settings: Settings) -> int:
    """Return the milliseconds for which a refused request may be stored, a day at least."""
    return max(settings.keep_refused_days, 1) * DAY


class Replays:
    """Carries out refused requests again.

    `lifetime` is the number of milliseconds for which a repeated replay happens only once; it is at least the time for
    which refused requests are kept. `now` returns milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        dialects: Sequence[Dialect],
        plans: Plans,
        lifetime: int,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._dialects = dialects
        self._plans = plans
        self._lifetime = lifetime
        self._now = now

    async def run(
        self,
        pipeline: Pipeline,
        request: RefusedRequest,
        changes: Sequence[BodyChange] = (),
        require: Callable[[str], object] = lambda _right: None,
    ) -> Replay:
        """Carry out a request again, after changes of its body. `require` is called with the right that its call needs.

        Raises `NotReplayable` and `InvalidMend`. A request that is refused again stays as it was.
        """
        await self._catalog.refresh()
        dialect, call = call_of(request, self._dialects)
        require(call.right)
        token = self._token(request)
        mended = mend(request, changes, call, self._plans.plan(dialect, call).bounds)
        response = await pipeline.respond(dialect, call, self._message(mended, call, token))
        replay = Replay(mended, response)
        if replay.is_accepted:
            await self._store.mark_replayed(request.database, request.id, self._now())
        return replay

    def tree_of(self, request: RefusedRequest) -> Tree:
        """Return the tree of a request's body, {} without one, None where it cannot be decoded."""
        try:
            dialect, call = call_of(request, self._dialects)
        except NotReplayable:
            return None
        return decode_body(request.body, request.headers, call, self._plans.plan(dialect, call).bounds)

    def _token(self, request: RefusedRequest) -> Token:
        if request.replayed:
            raise NotReplayable(f"it was replayed at {format_time(request.replayed)}")
        token = self._catalog.token_by_id(request.token)
        if token is None or token.database != request.database:
            raise NotReplayable(f"its token {request.token} was revoked")
        return token

    def _message(self, request: RefusedRequest, call: Call, token: Token) -> Message:
        return Message(
            call.method,
            {KEY_HEADER: f"refused-{request.id}", **request.headers},
            request.body,
            dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True)),
            request.path,
            request.target,
            request.request,
            token=token,
            replay_until=self._now() + self._lifetime,
            first_sent=request.time,
        )
