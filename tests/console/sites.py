"""A gateway with a console, its tokens, and people to look at."""

import asyncio
from dataclasses import replace
from pathlib import Path

from gateway.core.model import RIGHTS, Resource, Segment
from gateway.service.bootstrap import token
from gateway.settings import Settings
from gateway.stores.protocol import Store
from tests.test_app import seeded_store

OPERATOR, BLIND, CLIENT, OTHER = "of-the-operator", "of-one-who-cannot-read", "of-a-client", "of-another-database"
"""Secrets of tokens: with all rights; with the right to the console alone; without it; of database 2."""

SCRIPT = "<script>document.title='run'</script>\"'><img src=x onerror=alert(1)>"
"""A name that would run if a page did not escape it."""


async def seed() -> Store:
    """Return a store with these tokens, a resource and a segment."""
    store = await seeded_store()
    rights = {OPERATOR: RIGHTS, BLIND: ("console",), CLIENT: ("read", "write"), OTHER: RIGHTS}
    for number, (secret, given) in enumerate(rights.items()):
        created = token(secret, 2 if secret == OTHER else 1, given, number)
        await store.add_token(replace(created, id=f"token{number}", name=f"{secret} {SCRIPT}"))
    await store.add_resource(1, Resource(70, f"News {SCRIPT}", (f"weekly {SCRIPT}",)))
    await store.add_segment(1, Segment(71, f"Guests {SCRIPT}"))
    return store


def seeded() -> Store:
    """Return such a store, outside of a loop."""
    return asyncio.run(seed())


def settings(folder: Path) -> Settings:
    """Return settings with the console on."""
    return Settings(console=True, secret_file=str(folder / "key"), access_log=False)


def profile(email: str, name: str) -> dict[str, object]:
    """Return the body of an Altcraft import with a subscription."""
    subscription = {"channel": "email", "email": email, "resource_id": 70, "status": "subscribed"}
    return {
        "token": CLIENT,
        "db_id": 1,
        "email": email,
        "data": {"_fname": name, "custom_note": SCRIPT, "subscriptions": [subscription]},
    }
