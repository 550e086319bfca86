"""What tests of files of profiles compare: the state of a store without the ids and times that each import chooses."""

import asyncio
from typing import Any

import orjson

from gateway.core.model import Database, Profile
from gateway.stores import open_store
from gateway.stores.protocol import Store

FIELDS = {
    "type": "object",
    "properties": {
        "card": {"type": "string", "x-identifier": True},
        "checks": {"type": "integer"},
        "score": {"type": "number"},
        "vip": {"type": "boolean"},
        "born": {"type": "string", "format": "date"},
        "colour": {"enum": ["red", "green", 3]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
DATABASE = Database(1, "files", fields=FIELDS)


def state(url: str, database: int = 1) -> list[str]:
    """Return the documents and ledgers of a database, as texts in order."""
    return run_on(url, lambda store: _state(store, database))


def profiles(url: str, database: int = 1) -> list[Profile]:
    """Return the profiles of a database, by id."""

    async def read(store: Store) -> list[Profile]:
        async with store.snapshot() as snapshot:
            return [each async for each in snapshot.profiles(database)]

    return run_on(url, read)


def run_on(url: str, work: Any) -> Any:
    """Return what work does with an open store."""

    async def open_and_run() -> Any:
        store = await open_store(url, create=True)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(open_and_run())


async def _state(store: Store, database: int) -> list[str]:
    async with store.snapshot() as snapshot:
        documents = [_text(each.document) async for each in snapshot.profiles(database)]
        ledgers = [
            _text([each.address, {resource: sorted(facts) for resource, facts in each.ledger.facts.items()}])
            async for each in snapshot.ledgers(database)
        ]
    return sorted(documents) + sorted(ledgers)


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
