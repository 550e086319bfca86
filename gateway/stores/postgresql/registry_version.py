"""The version of the registry, as this process has it: the server notifies each change on a connection for that.

While that connection is lost, a notification may be missed. Each read then returns a number that no version has, so
that the caller reads the registry again.
"""

import asyncio
from contextlib import suppress
from itertools import count

import psycopg

from gateway.stores.postgresql.connections import RETRY_PAUSE_SECONDS, Connection, Engine, close_on_failure

_INCREMENT = """WITH moved AS (UPDATE epoch SET number = number + 1 RETURNING number)
    SELECT number, pg_notify('profile_gateway_epoch', current_schema() || ' ' || number) FROM moved"""
_LISTEN = "LISTEN profile_gateway_epoch"
_READ = "SELECT current_schema()::text, number FROM epoch"


async def increment(connection: Connection) -> int:
    """Increment the version within the transaction. Return the new one."""
    [[number, _]] = await (await connection.execute(_INCREMENT)).fetchall()
    return int(number)


class RegistryVersion:
    """A number that differs once the registry may have changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._schema, self._number = "", 0
        self._is_listening = False
        self._unknown = count(-1, -1)

    def number(self) -> int:
        return self._number if self._is_listening else next(self._unknown)

    def advance(self, number: int) -> None:
        """Use the later version: the process learns it from notifications and from its own commits."""
        self._number = max(self._number, number)

    async def begin(self, connection: Connection) -> None:
        """Listen on this connection, and on a new one wherever that is lost."""
        await self._listen(connection)
        self._task = asyncio.create_task(self._keep_listening(connection))
        await asyncio.sleep(0)  # a task that is cancelled before it starts would not close the connection

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self, connection: Connection) -> None:
        await connection.execute(_LISTEN)
        # The earlier number is replaced, even by a lower one: a cluster that failed over may have lost commits.
        [[self._schema, self._number]] = await (await connection.execute(_READ)).fetchall()
        self._is_listening = True

    async def _keep_listening(self, connection: Connection) -> None:
        while True:
            with suppress(psycopg.Error):
                async with connection:
                    await self._receive(connection)
            connection = await self._reconnect()

    async def _reconnect(self) -> Connection:
        while True:
            await asyncio.sleep(RETRY_PAUSE_SECONDS)
            with suppress(psycopg.Error):
                connection = await self._engine.connect()
                async with close_on_failure(connection):
                    await self._listen(connection)
                return connection

    async def _receive(self, connection: Connection) -> None:
        """Receive notifications until the connection is lost."""
        try:
            async for notification in connection.notifies():
                schema, _, number = notification.payload.rpartition(" ")
                if schema == self._schema:
                    self.advance(int(number))
        finally:
            self._is_listening = False
