"""The registry's epoch as this process knows it: the server tells each move on a connection kept for that.

While that connection is away a move could be missed: every question is then answered with a number that never was, so
that whoever asks reads the registry again.
"""

import asyncio
from contextlib import suppress
from itertools import count

import psycopg

from gateway.stores.postgresql.connections import NAP, Engine, closed_on_failure
from gateway.stores.postgresql.layout import Connection

_MOVE = """WITH moved AS (UPDATE epoch SET number = number + 1 RETURNING number)
    SELECT number, pg_notify('profile_gateway_epoch', current_schema() || ' ' || number) FROM moved"""
_LISTEN = "LISTEN profile_gateway_epoch"
_NUMBER = "SELECT current_schema()::text, number FROM epoch"


async def follow(engine: Engine, connection: Connection) -> "Epoch":
    """The epoch, listened to on this connection from now on, and on a new one wherever that is lost."""
    epoch = Epoch(engine)
    await epoch.begin(connection)
    return epoch


async def move(connection: Connection) -> int:
    """Moves the epoch with the transaction, and tells where to."""
    [[number, _]] = await (await connection.execute(_MOVE)).fetchall()
    return int(number)


class Epoch:
    """A number that differs once the registry may have changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._schema, self._number = "", 0
        self._is_listening = False
        self._unsure = count(-1, -1)

    def number(self) -> int:
        return self._number if self._is_listening else next(self._unsure)

    def moved(self, number: int) -> None:
        """Moves come by two ways, the server's word and one's own commit: the later one counts."""
        self._number = max(self._number, number)

    async def begin(self, connection: Connection) -> None:
        await self._listen(connection)
        self._task = asyncio.create_task(self._keep_listening(connection))

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self, connection: Connection) -> None:
        await connection.execute(_LISTEN)
        # Whatever was known before counts no more: a cluster that failed over may have gone back.
        [[self._schema, self._number]] = await (await connection.execute(_NUMBER)).fetchall()
        self._is_listening = True

    async def _keep_listening(self, connection: Connection) -> None:
        while True:
            with suppress(psycopg.Error):
                async with connection:
                    await self._hear(connection)
            connection = await self._connected()

    async def _connected(self) -> Connection:
        while True:
            await asyncio.sleep(NAP)
            with suppress(psycopg.Error):
                connection = await self._engine.connect()
                async with closed_on_failure(connection):
                    await self._listen(connection)
                return connection

    async def _hear(self, connection: Connection) -> None:
        """Takes in every move, until the connection is lost."""
        try:
            async for notice in connection.notifies():
                schema, _, number = notice.payload.rpartition(" ")
                if schema == self._schema:
                    self.moved(int(number))
        finally:
            self._is_listening = False
