"""The first start: an empty store gets a database and a token. Also creates the records of all other tokens.

Writes to the registry of the store only. Reads no clock and no environment, and prints nothing.
"""

import logging
from collections.abc import Iterable, Mapping
from secrets import token_hex, token_urlsafe
from typing import Any

from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Token
from gateway.core.rights import RIGHTS
from gateway.settings import Settings
from gateway.stores.errors import Duplicate, Missing
from gateway.stores.protocol import Store

DATABASE = 1
FIELDS = {"type": "object", "properties": {"customer_id": {"type": "string", "x-identifier": True}}}
"""The fields of database 1 without GATEWAY_BOOTSTRAP_FIELDS: one identifier, so that matching by it works at once."""

log = logging.getLogger(__name__)


async def bootstrap(
    store: Store,
    settings: Settings,
    now: int,
    creates_token: bool = True,
    fields: Mapping[str, Any] | None = None,
) -> str | None:
    """Create database 1 in an empty registry, and its first token. Return the secret of a new random token.

    `fields` are the fields that the settings declare, if they do.

    The token of the settings is added on every start, so that a container may get one at any time; a revoked one stays
    revoked. Without it, a random one is created unless `creates_token` is false. Several processes may start at once:
    the one that creates the database creates the token.
    """
    is_first = await _create_database(store, settings.bootstrap_company_id, fields)
    if settings.bootstrap_token:
        await _add_given_token(store, settings.bootstrap_token, now)
        return None
    if not is_first or not creates_token:
        return None
    secret = new_secret()
    await store.add_token(token(secret, DATABASE, RIGHTS, now))
    return secret


async def _create_database(store: Store, company_id: str, fields: Mapping[str, Any] | None) -> bool:
    if existing := await store.databases():
        if fields and all((each.id, each.fields) != (DATABASE, fields) for each in existing):
            log.warning(
                "GATEWAY_BOOTSTRAP_FIELDS is not used: the store has databases; `database update` changes fields"
            )
        return False
    try:
        await store.add_database(Database(DATABASE, "default", fields=fields or FIELDS, company_id=company_id))
    except Duplicate:  # another process was first
        return False
    return True


async def _add_given_token(store: Store, secret: str, now: int) -> None:
    try:
        await store.add_token(token(secret, DATABASE, RIGHTS, now))
    except Duplicate:
        return
    except Missing:
        log.warning("GATEWAY_BOOTSTRAP_TOKEN is not used: the store has databases, but no database %d", DATABASE)


def new_secret() -> str:
    """Return 256 random bits, in characters that are valid in a header, a query and a body."""
    return token_urlsafe(32)


def token(secret: str, database: int, rights: Iterable[str], now: int) -> Token:
    """Return the record of a secret: its hash, and a public id to list and revoke it by."""
    return Token(token_hex(4), fingerprint(secret), database, frozenset(rights), now)
