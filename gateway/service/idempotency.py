"""The Idempotency-Key header: the key that a request is stored under, and the fingerprint that identifies it."""

import json
from collections.abc import Sequence

from gateway.core.faults import Refusal, refuse
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Change, Command, EditResult, Find, IdempotencyKey, Origin, Token
from gateway.dialects.protocol import Call
from gateway.service.http_messages import Message
from gateway.stores.protocol import Store

KEY_LIFETIME = 24 * 60 * 60 * 1000
"""Milliseconds that a key is kept, unless the request has its own time."""

KEY_HEADER = "idempotency-key"

MAX_KEY_LENGTH = 255

FINGERPRINT_VERSION = 3
"""Changes with the canonical form of commands: fingerprints of two versions are not compared."""


def idempotency_key(
    message: Message, call: Call, token: Token, expires: int, commands: Sequence[Command | Refusal]
) -> IdempotencyKey:
    """Return the key of a request that has one. Raises `Refusal`: invalid_parameter.

    The fingerprint covers the canonical commands, so the same request in another media type has the same one.
    """
    key = require_key(message.headers[call.key_header])
    # Public calls have a key space of their own, and so has a user's token: they must not reach the keys of others.
    space = "open" if call.is_public else "" if token.user_hash is None else own_space(token)
    return IdempotencyKey(f"{space}/{key}", _fingerprint(message, call, commands), expires)


def own_space(token: Token) -> str:
    """Return what the keys of a user's token begin with. The other tokens of a database share theirs."""
    return f"user {token.id}"


def require_key(key: str) -> str:
    """Return a valid key. Raises `Refusal`: invalid_parameter."""
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= MAX_KEY_LENGTH):
        raise refuse("invalid_parameter", f"it must be 1 to {MAX_KEY_LENGTH} ASCII characters", "/Idempotency-Key")
    return key


def key_of_body(call: Call, key: str, expires: int) -> IdempotencyKey:
    """Return the key of a request whose body identifies it. No client can send such a key."""
    return IdempotencyKey(f"{'open' if call.is_public else ''}#{key}", f"{FINGERPRINT_VERSION}:{key}", expires)


def own_idempotency_key(key: str, operation: Sequence[str], expires: int) -> IdempotencyKey:
    """Return the key of a request of the gateway's own API, which is the same request with the same `operation`."""
    return IdempotencyKey(f"/{key}", f"{FINGERPRINT_VERSION}:{fingerprint(json.dumps(operation))}", expires)


async def stored_answer(store: Store, database: int, once: IdempotencyKey, now: int) -> EditResult | None:
    """Return what a change with a key resulted in; None where the store has no answer. `now` is in milliseconds."""
    [result] = await store.change([Change(database, (), _refuse, Origin("", "", now), once)])
    return None if isinstance(result, Refusal) else result


def _refuse(_find: Find) -> EditResult:
    """The edit of a question: it runs where there is no answer, and a refusal stores none."""
    raise refuse("unknown_job")


def _fingerprint(message: Message, call: Call, commands: Sequence[Command | Refusal]) -> str:
    content = [command.faults if isinstance(command, Refusal) else command for command in commands]
    request = [call.method, call.path, sorted(message.path.items()), content]
    return f"{FINGERPRINT_VERSION}:{fingerprint(json.dumps(request, sort_keys=True, default=str))}"
