"""Connections to the server, and what happens where one is lost.

Work is retried where nothing of it can be stored: only the loss of a connection at the commit itself leaves that open.
Connections are opened when they are needed, not by background tasks of a pool: so the first call after a failover
connects to the new primary at once, and a call that fails has the reason. No table is used here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.stores.errors import Unavailable
from gateway.stores.postgresql.text_encoding import BinaryTextDumper, TextDumper, TextLoader

Connection: TypeAlias = "AsyncConnection[tuple[Any, ...]]"

T = TypeVar("T")

RETRY_TIMEOUT_SECONDS, RETRY_PAUSE_SECONDS = 5.0, 0.02
"""How long work is retried or waits for a lock, and the pause before it is retried."""

IDLE_TRANSACTION_SECONDS = 3.0
"""Time after which the server ends a transaction whose process does nothing: less than other processes wait for it."""

RESPONSE_TIMEOUT_SECONDS = 60.0
"""Time after which a server that keeps the connection and does not respond counts as failed."""

MAX_CONNECTIONS = 8

DEFAULT_PARAMETERS = {
    "target_session_attrs": "read-write",
    "connect_timeout": "3",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "application_name": "profile-gateway",
}
"""Parameters that a URL may override. With these, a host that vanishes is detected within some ten seconds."""

# The planner's statistics of tables that grow fast are wrong: it must search them for the keys. The server releases the
# locks of a process that stops in the middle of a transaction. What is acknowledged is durable, whatever the server's
# default is.
SESSION_SETTINGS = """SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false), set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false), set_config('synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END,
        false)"""

SERVER_FAILURE_CLASSES = ("08", "25", "40", "53", "55", "57", "58")
"""The classes of SQLSTATE that are failures of the server, not of the statement."""

OUT_OF_MEMORY = "53200"
"""More locks or memory than the server has: the same work would fail again, a smaller part of it may succeed."""


class Engine:
    """Some connections to the server that can write."""

    def __init__(self, url: str) -> None:
        """Raises `ValueError` on a URL that libpq cannot read."""
        try:
            self._conninfo = make_conninfo(url, **{**DEFAULT_PARAMETERS, **conninfo_to_dict(url)})
        except psycopg.ProgrammingError:
            # The URL may contain a password, and so may libpq's message.
            raise ValueError("the URL is no store: use postgresql://USER:PASSWORD@HOST,HOST/NAME") from None
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        self.is_full = False
        """Whether the server's disk was full since `is_full` was last reset."""
        self._idle: list[Connection] = []
        self._open = True

    async def connect(self) -> Connection:
        """Return a new connection, in which each statement is a transaction unless one is begun."""
        connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        for dumper in (BinaryTextDumper, TextDumper):
            connection.adapters.register_dumper(str, dumper)
        connection.adapters.register_loader("text", TextLoader)
        async with close_on_failure(connection):
            timeouts = f"{RETRY_TIMEOUT_SECONDS:.3f}s", f"{IDLE_TRANSACTION_SECONDS:.3f}s"
            await connection.execute(SESSION_SETTINGS, timeouts)
        return connection

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run the work on a connection, and retry it on another. Return its result. Raises `Unavailable`."""
        until = monotonic() + RETRY_TIMEOUT_SECONDS
        while self._open:
            try:
                async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
                    return await self._attempt(work)
            except TimeoutError as error:
                reason = f"no answer in {RESPONSE_TIMEOUT_SECONDS} seconds: whether it was kept is not known"
                raise Unavailable(reason) from error
            except psycopg.Error as error:
                if not is_server_failure(error):
                    raise
                self.is_full = self.is_full or isinstance(error, psycopg.errors.DiskFull)
                if monotonic() > until or isinstance(error, psycopg.errors.DiskFull):
                    raise Unavailable(str(error)) from error
            await asyncio.sleep(RETRY_PAUSE_SECONDS)
        raise Unavailable("the store is closed")

    async def close(self) -> None:
        self._open = False
        while self._idle:
            await self._idle.pop().close()

    async def _attempt(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._room:
            connection = self._idle.pop() if self._idle else await self.connect()
            async with close_on_failure(connection):
                result = await work(connection)
            if self._open:
                self._idle.append(connection)
            else:
                await connection.close()
            return result


@asynccontextmanager
async def close_on_failure(connection: Connection) -> AsyncIterator[None]:
    """Close the connection where something fails, whatever its state is. That ends its transaction too."""
    try:
        yield
    except BaseException:
        await connection.close()
        raise


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """Commit everything. Where something fails, the engine closes the connection, and nothing is stored."""
    await connection.execute("BEGIN")
    yield
    await commit(connection)


async def commit(connection: Connection) -> None:
    """Raises `Unavailable` where the connection is lost before the response: the work must not be retried."""
    try:
        await connection.execute("COMMIT")
    except psycopg.Error as error:
        raise Unavailable(f"whether it was kept is not known: {error}") from error


def is_server_failure(error: psycopg.Error) -> bool:
    """Return whether the server failed, so that the same work may succeed a moment later."""
    state = error.sqlstate
    if not state:
        return isinstance(error, psycopg.OperationalError)
    return state[:2] in SERVER_FAILURE_CLASSES and state != OUT_OF_MEMORY


def to_psycopg(sql: str) -> str:
    """Return a statement that all engines share with psycopg's parameters `%s` for its `?`."""
    return sql.replace("?", "%s")
