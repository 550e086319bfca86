"""Runs a command's work on the store, and reports errors in one line.

The exit status is 2 for an invalid setting and 1 for an error of the store.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click

from gateway.core.model import Database
from gateway.optional_dependencies import MissingExtra
from gateway.service.reload_file import read_settings
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.errors import Duplicate, Missing, StoreNotFound, Unavailable
from gateway.stores.protocol import Store

T = TypeVar("T")


class InvalidSettings(click.ClickException):
    """Settings that a person must correct."""

    exit_code = 2


def load_settings(**flags: str | None) -> Settings:
    """Return the settings of the environment, overridden by flags. Raises `InvalidSettings`."""
    try:
        return read_settings(os.environ, **flags)
    except ValueError as error:
        raise InvalidSettings(str(error)) from None


def require_lasting_store(settings: Settings) -> None:
    """Raise `InvalidSettings` for a store in memory: what one process writes there is lost at its end."""
    if settings.store.startswith("memory:"):
        raise InvalidSettings("a store in memory is for tests: nothing else would see what is written there")


def run_on_store(settings: Settings, work: Callable[[Store], Awaitable[T]], *, create: bool = False) -> T:
    """Open the store, run the work and close the store. Raises `ClickException`.

    A store that does not exist is created only with `create`.
    """
    require_lasting_store(settings)
    try:
        return asyncio.run(_run(settings.store, work, create))
    except StoreNotFound as error:
        raise click.ClickException(f"{error}; only serve, load and database create create one") from None
    except Unavailable as error:
        raise click.ClickException(" ".join(str(error).split())) from None


def update_registry(
    store: str | None,
    work: Callable[[Store], Awaitable[None]],
    duplicate: str = "",
    missing: str = "",
    *,
    create: bool = False,
) -> None:
    """Run work that writes to the registry. `duplicate` and `missing` are the messages of the store's two errors."""
    try:
        run_on_store(load_settings(store=store), work, create=create)
    except Duplicate:
        raise click.ClickException(duplicate) from None
    except Missing:
        raise click.ClickException(missing) from None


def find_database(databases: Sequence[Database], id: int) -> Database:
    """Return the database with an id. Raises `ClickException` where there is none."""
    for database in databases:
        if database.id == id:
            return database
    raise click.ClickException(f"there is no database {id}")


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


async def _run(url: str, work: Callable[[Store], Awaitable[T]], create: bool) -> T:
    try:
        store = await open_store(url, create=create)
    except (MissingExtra, ValueError) as error:
        raise InvalidSettings(str(error)) from None
    try:
        return await work(store)
    finally:
        await store.close()
