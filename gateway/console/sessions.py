"""Sessions: what a browser keeps after the sign-in, in a cookie.

A cookie has the id of a token, the end of the session and a random part, signed with the gateway's key and the token's
hash. So every process accepts it, and it ends at once when the token is revoked. The token itself is in no cookie.

A sign-out is a change of the store that happens once and writes no profile. Its answer, under the key of the session,
is what every process finds until the session would have ended.
"""

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from hmac import new as new_hmac
from secrets import token_hex

from msgspec import Struct

from gateway.console.recorder import NAME
from gateway.core.model import Change, EditResult, Find, IdempotencyKey, Origin, Token
from gateway.core.rights import CONSOLE
from gateway.service.catalog import Catalog, require_right
from gateway.service.idempotency import stored_answer
from gateway.stores.protocol import Store

LIFETIME = 8 * 60 * 60 * 1000
"""Milliseconds."""

MAX_COOKIE_CHARACTERS = 500


class Session(Struct, frozen=True):
    """The session of a token. `cookie` is its value in the browser, `form_token` that of its forms."""

    token: Token
    cookie: str
    form_token: str


class Sessions:
    """Opens, verifies and ends sessions. `now` returns milliseconds since 1970."""

    def __init__(self, key: bytes, store: Store, catalog: Catalog, now: Callable[[], int]) -> None:
        self._key = new_hmac(key, b"console", sha256).digest()
        self._catalog = catalog
        self._store = store
        self._now = now

    def open(self, secret: str) -> Session:
        """Return a new session of a token. Raises `Refusal`: unknown_token, missing_right."""
        token = self._catalog.token(secret)
        require_right(token, CONSOLE)
        content = f"{token.id}.{self._now() + LIFETIME}.{token_hex(16)}"
        return self._session(token, f"{content}.{self._sign(token, content)}")

    async def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it is forged or over, or its token lost the right to it."""
        content, _, signature = cookie[:MAX_COOKIE_CHARACTERS].rpartition(".")
        id, _, rest = content.partition(".")
        token = self._catalog.token_by_id(id)
        if token is None or not compare_digest(signature.encode(), self._sign(token, content).encode()):
            return None
        if int(rest.partition(".")[0]) <= self._now() or CONSOLE not in token.rights:
            return None
        session = self._session(token, cookie)
        signed_out = await stored_answer(self._store, token.database, _end_key(session), self._now())
        return session if signed_out is None else None

    async def end(self, session: Session) -> None:
        """End a session in all processes."""
        origin = Origin(session.token.id, NAME, self._now())
        await self._store.change([Change(session.token.database, (), _edit_nothing, origin, _end_key(session))])

    def _session(self, token: Token, cookie: str) -> Session:
        return Session(token, cookie, self._sign(token, f"form.{cookie}"))

    def _sign(self, token: Token, text: str) -> str:
        return new_hmac(self._key, f"{token.hash}.{text}".encode(), sha256).hexdigest()


def _end_key(session: Session) -> IdempotencyKey:
    """Return the key of the end of a session. Those of clients begin in another way."""
    content = session.cookie.rpartition(".")[0]
    until = int(content.split(".")[1])
    return IdempotencyKey(f"{NAME}/{sha256(content.encode()).hexdigest()}", "1:sign-out", until)


def _edit_nothing(_find: Find) -> EditResult:
    return EditResult(None)


def is_form_token(session: Session, given: str) -> bool:
    """Return whether a form was rendered for the session."""
    return compare_digest(given.encode(), session.form_token.encode())
