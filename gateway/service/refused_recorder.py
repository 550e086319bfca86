"""Keeps refused requests: the request path only puts them into a queue, and a task in the background writes them.

What is in the queue when the process is killed is lost, and nothing else: clients got their refusals.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from gateway.core.erasure import possible_texts
from gateway.core.faults import Fault, Refusal
from gateway.core.matching import CUSTOM
from gateway.core.model import Token
from gateway.core.refused_requests import RefusedCandidate, RefusedRequest, erasure_marks, keys_of_texts
from gateway.core.rights import READ
from gateway.core.tombstones import IDEMPOTENCY_KEY, REQUEST, Pseudonym, tombstone_address
from gateway.dialects.protocol import Call, Dialect
from gateway.media import Bounds
from gateway.service.catalog import Catalog
from gateway.service.dry_run_parameter import DRY_RUN
from gateway.service.exchange import Exchange
from gateway.service.failures import log_unexpected
from gateway.service.http_messages import Message
from gateway.service.idempotency import KEY_HEADER, own_space
from gateway.service.refused_content import RefusedContent, content_of, secret_of
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store

log = logging.getLogger("gateway")

GROUP_SECONDS = 0.2
"""Time for which refused requests wait for others, to be written in one step."""

STEP_REQUESTS = 32
"""Refused requests that one step of the store writes: the other changes wait for it."""

MAX_QUEUED_BYTES = 32 * 1024 * 1024
"""Bytes of the requests in the queue. Beyond them, refused requests are not kept."""

REQUEST_BYTES = 4_096
"""Bytes that a request counts for besides its body."""

MAX_VALUES = 500
"""Values of a body that are hashed. With more it counts as one of which it is not known whom it names."""

UNKEPT_STATUSES = (401, 403, 429)


class _QueuedRefusal(Struct, frozen=True):
    dialect: Dialect
    call: Call
    message: Message
    bounds: Bounds
    token: str
    """The id of the token."""
    faults: Sequence[Fault]
    time: int


class RefusedRecorder:
    """Keeps what is refused of requests that write and whose credential is a valid token.

    `max_bytes` is the maximum for each database. `now` returns milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        pseudonym: Pseudonym,
        max_bytes: int,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._pseudonym = pseudonym
        self._max_bytes = max_bytes
        self._now = now
        self._queue: list[_QueuedRefusal] = []
        self._queued_bytes = 0
        self._lost = 0
        self._has_some = asyncio.Event()
        self._writing = asyncio.Lock()

    def add(self, exchange: Exchange, call: Call, bounds: Bounds, faults: Sequence[Fault]) -> None:
        """Put a refused request into the queue, if it is one of those that are kept. `bounds` are its body's."""
        message, status = exchange.message, faults[0].status
        if call.right == READ or call.is_public or message.token is not None or DRY_RUN in message.query:
            return
        if status in UNKEPT_STATUSES or status >= 500:
            return
        token = exchange.grant.token if exchange.grant else self._token_of_unreadable(exchange)
        if token is None:
            return
        size = len(message.body) + REQUEST_BYTES
        if self._queued_bytes + size > MAX_QUEUED_BYTES:
            self._lost += 1
            return
        self._queue.append(_QueuedRefusal(exchange.dialect, call, message, bounds, token.id, faults, self._now()))
        self._queued_bytes += size
        self._has_some.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write in the background. At the end, write what is left."""
        task = asyncio.create_task(self._write_regularly())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._write()

    async def _write_regularly(self) -> None:
        while True:
            await self._has_some.wait()
            await asyncio.sleep(GROUP_SECONDS)
            await asyncio.shield(self._write())

    async def _write(self) -> None:
        """Write the queue, after what is being written. What cannot be written is lost, and the log says how many."""
        async with self._writing:
            await self._write_queue()

    async def _write_queue(self) -> None:
        queue, self._queue, self._queued_bytes, lost, self._lost = self._queue, [], 0, self._lost, 0
        self._has_some.clear()
        try:
            candidates = await asyncio.to_thread(self._candidates, queue)
            for database in {each.request.database for each in candidates}:
                own = [each for each in candidates if each.request.database == database]
                for start in range(0, len(own), STEP_REQUESTS):
                    await self._store.keep_refused(database, own[start : start + STEP_REQUESTS], self._max_bytes)
        except Unavailable:
            lost += len(queue)
        except Exception as error:
            log_unexpected(error, "")
            lost += len(queue)
        if lost:
            log.warning("%d refused requests were not kept", lost)

    def _candidates(self, queue: Sequence[_QueuedRefusal]) -> list[RefusedCandidate]:
        candidates = []
        for each in queue:
            try:
                if candidate := self._candidate(each):
                    candidates.append(candidate)
            except Exception as error:  # one request must not keep others out
                log_unexpected(error, each.message.id)
        return candidates

    def _candidate(self, queued: _QueuedRefusal) -> RefusedCandidate | None:
        dialect, message = queued.dialect, queued.message
        token = self._catalog.token_by_id(queued.token)  # a public company id is none
        content = content_of(message, queued.call, dialect, queued.bounds) if token else None
        if token is None or content is None:
            return None
        impersonal = dialect.request_names.impersonal
        texts = None
        if content.tree is not None:
            texts = possible_texts(_named(message, content), impersonal, MAX_VALUES)
        request = RefusedRequest(
            database=token.database,
            id=token_hex(12),
            time=queued.time,
            request=message.id,
            token=token.id,
            dialect=dialect.name,
            call=f"{queued.call.method} {queued.call.path}",
            target=content.target,
            path=dict(message.path),
            headers=content.headers,
            body=content.body,
            faults=queued.faults,
            keys=None if texts is None else keys_of_texts(texts, self._pseudonym),
        )
        return RefusedCandidate(request, self._tombstones(token, message, texts or set()))

    def _token_of_unreadable(self, exchange: Exchange) -> Token | None:
        """Return the token that the headers or the query of a request have, whose body was not decoded; None: none."""
        with suppress(Refusal):
            return self._catalog.token(secret_of(exchange.dialect, exchange.message))
        return None

    def _tombstones(self, token: Token, message: Message, texts: set[str]) -> frozenset[str]:
        """Return the addresses of the tombstones by which the request would be one about an erased person."""
        identifiers = self._catalog.tables(token.database)
        kinds = {*identifiers.match_kinds.values(), *(f"{CUSTOM}/{name}" for name in identifiers.identifiers)}
        own = {tombstone_address(self._pseudonym, REQUEST, message.id)}
        if key := message.headers.get(KEY_HEADER):
            space = "" if token.user_hash is None else own_space(token)
            own.add(tombstone_address(self._pseudonym, IDEMPOTENCY_KEY, f"{space}/{key}"))
        return erasure_marks(texts, kinds, self._pseudonym) | own


def _named(message: Message, content: RefusedContent) -> list[object]:
    """Return everything of a request that may name a person."""
    query = dict(parse_qsl(urlsplit(content.target).query))
    return [content.tree, dict(message.path), query, dict(content.headers)]
