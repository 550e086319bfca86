"""What passes between the server and the pipeline: a request and a response, without a connection."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from gateway.core.model import Token


class Message(Struct, frozen=True):
    """A complete request. Header names are in lower case; `path` has the values of the names in the call's path.

    `target` is the normalized path, and the query as it came; `id` is the request id. `base` is the address that the
    client uses, without a path, such as `https://example.com/prefix`.
    """

    method: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    id: str = ""
    base: str = ""
    token: Token | None = None
    """The token of a session of the console, whose requests have no credential. No client can set it."""
    replay_until: int = 0
    """When the Idempotency-Key of a replay expires (ms since 1970); 0: it is no replay. No client can set it."""
    first_sent: int = 0
    """When the request of a replay was refused (ms since 1970)."""


class Response(Struct, frozen=True):
    """A complete response.

    `fault` is the code of its first fault, "" without one, and `pointer` its pointer with `*` for names that a client
    chose. A response may report success in spite of the fault. `token` is the token's id, "" before it is verified.
    `stage_ends` are times (`perf_counter`): when the request was complete, prepared and carried out, if it came so far.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: str = ""
    pointer: str = ""
    token: str = ""
    database: int | None = None
    stage_ends: Sequence[float] = ()
