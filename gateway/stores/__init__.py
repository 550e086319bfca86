"""Stores: one contract (protocol.py), several engines. The scheme of a URL names the engine."""

from importlib import import_module

from gateway.optional_dependencies import require_extra
from gateway.stores.protocol import Store

ENGINES = ("memory", "postgresql", "sqlite")


async def open_store(url: str, *, create: bool = False) -> Store:
    """Return the store of a URL such as `sqlite:///gateway.db`, migrated to this version's layout.

    A store that does not exist is created only with `create`: a mistyped URL must not look like an empty store. Raises
    `ValueError` on a URL that no engine accepts, `Unavailable` if the engine cannot be reached, `StoreNotFound` if it
    has no such store, `MissingExtra` if its library is not installed.
    """
    scheme = url.partition(":")[0]
    if scheme not in ENGINES:
        raise ValueError(f"unknown store {scheme!r}: use sqlite:///FILE or postgresql://HOST/NAME")
    if scheme == "postgresql":
        require_extra("psycopg", "postgresql")
    store: Store = await import_module(f"{__name__}.{scheme}").open(url, create)
    return store
