"""Pseudonyms: keyed hashes (HMAC-SHA-256) of addresses, and the file of their key.

The key is outside of the store: a copy of the store alone does not reveal which address a pseudonym replaces.
"""

import os
import secrets
from contextlib import suppress
from hashlib import sha256
from hmac import new as new_hmac
from pathlib import Path

from gateway.core.model import Address
from gateway.core.result_cache import ResultCache
from gateway.core.tombstones import Pseudonym
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store

ALGORITHM = "hmac-sha256"
KEY_BYTES = 32
FILE_SUFFIX = ".secret"
"""Ends the name of the key's file beside a store that is a file."""


def pseudonym_of(key: bytes) -> Pseudonym:
    """Return the function from an address to its pseudonym, `channel:hmac-sha256:hash`."""

    keyed = new_hmac(key, digestmod=sha256)

    def pseudonym(address: Address) -> Address:
        hashed = keyed.copy()  # a new one takes twice the time
        hashed.update(address.encode())
        return f"{address.partition(':')[0]}:{ALGORITHM}:{hashed.hexdigest()}"

    return ResultCache(pseudonym).__getitem__


async def open_pseudonyms(store: Store, secret_file: str | None) -> Pseudonym | None:
    """Return the pseudonyms of a store, as `open_key` returns their key."""
    key = await open_key(store, secret_file)
    return None if key is None else pseudonym_of(key)


async def find_pseudonyms(store: Store, secret_file: str | None) -> Pseudonym | None:
    """Return the pseudonyms of a store; None if there is no file of their key. Create none."""
    path = _path_of_key(store, secret_file)
    return await open_pseudonyms(store, secret_file) if path and Path(path).exists() else None


async def open_key(store: Store, secret_file: str | None) -> bytes | None:
    """Return the key of a store; None if the store is no file and no file is named.

    The file is created where it is missing. Raises `Unavailable` if it cannot be used, or is missing although the store
    has pseudonyms.
    """
    path = _path_of_key(store, secret_file)
    if path is None:
        return None
    try:
        if not Path(path).exists():
            if await _has_pseudonyms(store):
                raise Unavailable(f"{path}: the store has keyed hashes, and the file of their key is missing")
            _create(Path(path))
        return _read(Path(path))
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error


def _path_of_key(store: Store, secret_file: str | None) -> str | None:
    return secret_file or (f"{store.file}{FILE_SUFFIX}" if store.file else None)


def _create(path: Path) -> None:
    """Create the file with a random key, readable by its owner alone. Of several processes the first one creates it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(new, path)
    new.unlink()


def _read(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text())
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise Unavailable(f"{path}: the file has no key of {KEY_BYTES} bytes in hexadecimal")
    return key


async def _has_pseudonyms(store: Store) -> bool:
    async with store.snapshot() as snapshot:
        for database in await store.databases():
            async for record in snapshot.ledgers(database.id):
                if f":{ALGORITHM}:" in record.address:
                    return True
    return False
