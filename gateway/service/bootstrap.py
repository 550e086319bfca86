"""The first start: an empty store gets a database and a token; and how any token is made.

It writes to the registry alone, through the store. It reads no clock and no environment, and prints nothing.
"""

import logging
from collections.abc import Iterable
from secrets import token_hex, token_urlsafe

from gateway.core.fingerprint import fingerprint
from gateway.core.model import RIGHTS, Database, Token
from gateway.settings import Settings
from gateway.stores.errors import Duplicate, Missing
from gateway.stores.protocol import Store

DATABASE = 1
FIELDS = {"type": "object", "properties": {"customer_id": {"type": "string", "x-identifier": True}}}
"""What database 1 declares, so that matching by a custom field works at once."""

log = logging.getLogger(__name__)


async def bootstrap(store: Store, settings: Settings, now: int) -> str | None:
    """Makes database 1 in an empty registry, and its first token; answers the secret where it was made up here.

    A token that the settings name is seen to on every start, so that a container may be given one at any time; a
    revoked one stays revoked. Several processes may do this at once: the one that made the database makes the token.
    """
    is_first = await _made_database(store, settings.bootstrap_company_id)
    if settings.bootstrap_token:
        await _admit(store, settings.bootstrap_token, now)
        return None
    if not is_first:
        return None
    secret = new_secret()
    await store.add_token(token(secret, DATABASE, RIGHTS, now))
    return secret


async def _made_database(store: Store, company_id: str) -> bool:
    if await store.databases():
        return False
    try:
        await store.add_database(Database(DATABASE, "default", fields=FIELDS, company_id=company_id))
    except Duplicate:  # another process was first
        return False
    return True


async def _admit(store: Store, secret: str, now: int) -> None:
    try:
        await store.add_token(token(secret, DATABASE, RIGHTS, now))
    except Duplicate:
        return
    except Missing:
        log.warning("GATEWAY_BOOTSTRAP_TOKEN is not used: the store has databases, but no database %d", DATABASE)


def new_secret() -> str:
    """What a client presents: 256 random bits, in characters that fit a header, a query and a body."""
    return token_urlsafe(32)


def token(secret: str, database: int, rights: Iterable[str], now: int) -> Token:
    """The record of a secret: its hash, and a public name that lets it be listed and revoked."""
    return Token(token_hex(4), fingerprint(secret), database, frozenset(rights), now)
