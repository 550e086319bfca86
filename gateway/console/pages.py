"""What a page gets, and what it returns: a template with its values, a redirection, or a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from msgspec import Struct

from gateway.console.recorder import NAME, TrafficRecorder
from gateway.console.sessions import Session
from gateway.core.faults import Refusal
from gateway.core.model import Database, Origin, Token
from gateway.core.rights import READ
from gateway.core.tombstones import Pseudonym
from gateway.dialects.protocol import Dialect
from gateway.media import Bounds
from gateway.service.catalog import Catalog
from gateway.service.http_messages import Message
from gateway.service.pipeline import Pipeline
from gateway.service.replays import Replays
from gateway.stores.protocol import Store


class PageError(Exception):
    """A request that a page refuses: the status (RFC 9110), and the reason for people."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def explain(reason: Exception) -> str:
    """Return a reason as a sentence: that of a refusal with the place of its first fault."""
    text = str(reason)
    if isinstance(reason, Refusal):
        fault = reason.faults[0]
        text = f"{fault.pointer.removeprefix('/')}: {fault.text}" if fault.pointer else fault.text
    return f"{text[:1].upper()}{text[1:]}."


@dataclass(slots=True)
class ConsoleContext:
    """What all pages share. `pipeline`, `bounds` and `replays` are replaced when settings are read again."""

    store: Store
    catalog: Catalog
    dialects: Sequence[Dialect]
    pseudonym: Pseudonym | None
    recorder: TrafficRecorder
    now: Callable[[], int]
    """Returns milliseconds since 1970."""
    key: bytes | None
    """That of `GATEWAY_SECRET_FILE`."""
    keeps_refused: bool
    """Whether refused requests are kept."""
    pipeline: Pipeline = field(init=False)
    bounds: Bounds = field(init=False)
    replays: Replays = field(init=False)


class Form(Struct, frozen=True):
    """The parameters of a query or a form, each with all its values."""

    values: Mapping[str, Sequence[str]] = {}

    def text(self, name: str) -> str:
        """Return the first value without white space around it, "" for an absent one."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """Return the first value as it came."""
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> Sequence[str]:
        """Return all values."""
        return self.values.get(name, ())


class Visit(Struct, frozen=True):
    """A request for a page within a session. `form` has the parameters of the query or, after a POST, of the form."""

    context: ConsoleContext
    message: Message
    session: Session
    form: Form

    @property
    def token(self) -> Token:
        return self.session.token

    @property
    def database(self) -> Database:
        """The only database that the session may see."""
        return self.context.catalog.database(self.token)

    @property
    def may_read(self) -> bool:
        """Whether the values of profiles are visible, and not masked."""
        return READ in self.token.rights

    def origin(self) -> Origin:
        """Return the origin of what the session itself writes, at this time."""
        return Origin(self.token.id, NAME, self.context.now(), request=self.message.id)

    def require(self, right: str) -> None:
        """Raise `PageError` if the token of the session does not have a right."""
        if right not in self.token.rights:
            raise PageError(403, f"The token of this session does not have the right to {right}.")


class HtmlPage(Struct, frozen=True):
    """A template, and the values that it renders."""

    template: str
    values: Mapping[str, Any] = {}
    status: int = 200


class Redirection(Struct, frozen=True):
    """Another page to read, by its name and maybe a query."""

    name: str


class File(Struct, frozen=True):
    """A file to save."""

    name: str
    media_type: str
    body: bytes


PageResult: TypeAlias = HtmlPage | Redirection | File
