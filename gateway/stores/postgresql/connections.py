"""Connections to the server, and what is done when one is lost. It knows no table.

Work is begun anew where nothing of it can have been kept: only the loss of a connection at the commit itself leaves
that open. Connections are made when they are needed, not by a pool's tasks in the background: so the first call after a
failover connects to the new primary at once, and a call that fails says why.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.stores.errors import Unavailable
from gateway.stores.postgresql.layout import Connection, Plain, Spelled, SpelledInArrays

T = TypeVar("T")

PATIENCE, NAP = 5.0, 0.02
"""How long work is begun anew or waits for a lock, and the pause before it is begun anew, in seconds."""

FROZEN = 3.0
"""Seconds after which the server ends a transaction that its process left alone: less than its neighbours wait."""

LONGEST = 60.0
"""Seconds after which a server that keeps the connection and does not answer is given up."""

CONNECTIONS = 8

DEFAULTS = {
    "target_session_attrs": "read-write",
    "connect_timeout": "3",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "application_name": "profile-gateway",
}
"""What a URL may say otherwise. A host that vanishes without a word is noticed within some ten seconds."""

# Whatever the planner believes about tables that grow fast, it searches them for the keys it is given. A process that
# stops in the middle of a transaction gives its locks back. What is acknowledged is durable, whatever the server's
# default is.
SESSION = """SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false), set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false), set_config('synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END,
        false)"""

AWAY = ("08", "25", "40", "53", "55", "57", "58")
"""The classes of errors that are the engine's, not those of what it was given."""

TOO_MANY = "53200"
"""More locks or memory than the server has: the same would fail again, a smaller piece of it need not."""


class Engine:
    """Some connections to the server that can write."""

    def __init__(self, url: str) -> None:
        """Raises `ValueError` on a URL that libpq cannot read."""
        try:
            self._conninfo = make_conninfo(url, **{**DEFAULTS, **conninfo_to_dict(url)})
        except psycopg.ProgrammingError:
            # The URL may carry a password, and so may libpq's words on it.
            raise ValueError("the URL is no store: use postgresql://USER:PASSWORD@HOST,HOST/NAME") from None
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[Connection] = []
        self._open = True

    async def connect(self) -> Connection:
        """A new connection, in which each statement is a transaction unless it is told otherwise."""
        connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        for spelled in (SpelledInArrays, Spelled):
            connection.adapters.register_dumper(str, spelled)
        connection.adapters.register_loader("text", Plain)
        async with closed_on_failure(connection):
            await connection.execute(SESSION, (f"{PATIENCE:.3f}s", f"{FROZEN:.3f}s"))
        return connection

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What the work comes to on a connection; it may be begun anew on another. Raises `Unavailable`."""
        until = monotonic() + PATIENCE
        while self._open:
            try:
                async with asyncio.timeout(LONGEST):
                    return await self._attempt(work)
            except TimeoutError as error:
                raise Unavailable(f"no answer in {LONGEST} seconds: whether it was kept is not known") from error
            except psycopg.Error as error:
                if not is_away(error):
                    raise
                if monotonic() > until:
                    raise Unavailable(str(error)) from error
            await asyncio.sleep(NAP)
        raise Unavailable("the store is closed")

    async def close(self) -> None:
        self._open = False
        while self._idle:
            await self._idle.pop().close()

    async def _attempt(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._room:
            connection = self._idle.pop() if self._idle else await self.connect()
            async with closed_on_failure(connection):
                answer = await work(connection)
            if self._open:
                self._idle.append(connection)
            else:
                await connection.close()
            return answer


@asynccontextmanager
async def closed_on_failure(connection: Connection) -> AsyncIterator[None]:
    """In whatever state a connection is where something fails: it takes its transaction with it."""
    try:
        yield
    except BaseException:
        await connection.close()
        raise


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """Keeps everything; or nothing, since the engine closes a connection where something fails."""
    await connection.execute("BEGIN")
    yield
    await commit(connection)


async def commit(connection: Connection) -> None:
    """Raises `Unavailable` where the connection is lost before the answer: it must not be begun anew."""
    try:
        await connection.execute("COMMIT")
    except psycopg.Error as error:
        raise Unavailable(f"whether it was kept is not known: {error}") from error


def is_away(error: psycopg.Error) -> bool:
    """Is it the engine that failed, so that the same may go well a moment later?"""
    state = error.sqlstate
    return state[:2] in AWAY and state != TOO_MANY if state else isinstance(error, psycopg.OperationalError)
