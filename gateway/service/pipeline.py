"""The story of one request: bytes, tree, canonical update, key, profile, reply, bytes.

Nothing here knows HTTP's wire, a vendor's words or an engine; each step is another room's, this file is their order.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace as altered

from gateway import media
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.fingerprint import fingerprint
from gateway.core.model import READ, Command, CommandType, IdempotencyKey, Tree, Update
from gateway.core.pointer import split_pointer
from gateway.dialects.protocol import (
    BATCHES,
    COMMAND_TYPES,
    CONTENT_TYPES,
    Call,
    Dialect,
    ParsedCommand,
    ParsedRequest,
    Reply,
    Request,
    Result,
)
from gateway.media import Bounds, Codec
from gateway.schema.compiled import CompiledSchema, integer
from gateway.schema.validation import MOST_FAULTS
from gateway.service.catalog import Catalog
from gateway.service.fair_queue import FairQueue
from gateway.service.operations import Operations, PreparedRequest
from gateway.service.rate_limits import RateLimitExceeded, RateLimits
from gateway.stores.errors import Unavailable

log = logging.getLogger("gateway")

DAY = 24 * 60 * 60 * 1000
"""How long an Idempotency-Key holds where nothing else is said, in milliseconds."""

LONGEST_KEY = 255

FINGERPRINT_VERSION = 2
"""Changes with the canonical form of commands: fingerprints of two versions are not compared."""

PAUSE = "1"
"""Seconds after which a call that the store could not answer is worth another try: it waited for some itself."""

FULL_PROFILES = 100
"""As many profiles of a batch as may have all the nodes that one may have: the others are smaller."""

DRY_RUN = "dry_run"
SAID = {"true": True, "false": False, "1": True, "0": False}
"""What a dry run's parameter may say."""

LARGE = 256 * 1024
"""Bodies from this size on (bytes) are understood beside the event loop, so that they hold up nobody else's."""

MOST_OF_ALL = 2_000
"""Faults that a request is told at most, where each of its updates is told at least one."""

MANY = 100
"""From so many updates on, what came of them is told beside it."""

PLACES = 32
"""Requests that are carried out at once: enough to share a commit, and few to stand before one that comes."""

FEW = 6
"""Of them, those of one token, where others ask too."""


class Message(Struct, frozen=True):
    """One request, whole. Header names are in lower case; `path` holds the names of the call's path.

    `target` is path and query as they came.
    """

    method: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


class Response(Struct, frozen=True):
    """What goes back. `fault` is the name of the refusal that it tells first, "" where it tells none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: str = ""


class Pipeline:
    """Carries requests through the rooms.

    `most` is the greatest number of profiles in one request; `now` gives milliseconds since 1970.
    """

    def __init__(
        self, catalog: Catalog, verbs: Operations, rates: RateLimits, bounds: Bounds, most: int, now: Callable[[], int]
    ) -> None:
        self._catalog = catalog
        self._verbs = verbs
        self._rates = rates
        self._bounds = bounds
        self._most = most
        self._now = now
        self._outage = _Outage()
        self._turns = FairQueue(PLACES, FEW)
        self._large = asyncio.Semaphore(1)

    async def respond(self, dialect: Dialect, call: Call, message: Message) -> Response:
        """The response to a request, whatever happens."""
        exchange = _Exchange(dialect, message)
        try:
            response = await self._response(exchange, call)
        except RateLimitExceeded as refusal:
            return exchange.refused(refusal.faults, {"retry-after": str(refusal.pause)})
        except Refusal as refusal:
            return exchange.refused([_named(fault, call.pointers) for fault in refusal.faults])
        except Unavailable as reason:
            self._outage.begins(reason)
            return exchange.refused([Fault("store_unavailable")], {"retry-after": PAUSE})
        except Exception as error:
            _report(error)
            return exchange.refused([Fault("internal_error")])
        self._outage.ends()
        return response

    def refused(self, dialect: Dialect, message: Message, fault: Fault, headers: Mapping[str, str]) -> Response:
        """The response to a request that reaches no call."""
        return _Exchange(dialect, message).refused([fault], headers)

    async def _response(self, exchange: "_Exchange", call: Call) -> Response:
        await self._catalog.refresh()
        asked, work, left = await self._understood_beside(exchange, call)
        await self._turns.enter(work.token.id)
        try:
            tell = await self._carried_out(exchange, call, asked, work)
        finally:
            self._turns.leave(work.token.id)
        told = partial(_told, exchange, tell, left)
        return told() if len(work.updates) < MANY else await asyncio.to_thread(told)

    async def _carried_out(
        self, exchange: "_Exchange", call: Call, asked: ParsedRequest, work: PreparedRequest
    ) -> Callable[[], Reply]:
        """What tells the outcome, of the request or of its rehearsal."""
        if work.rehearsal:
            return partial(exchange.plainly, await self._verbs.rehearse(call.operation, work))
        outcomes = await self._verbs.carry_out(call.operation, work)
        return partial(call.render, Result(work.database, outcomes, work.updates, asked.context))

    async def _understood_beside(
        self, exchange: "_Exchange", call: Call
    ) -> tuple[ParsedRequest, PreparedRequest, Mapping[str, str]]:
        """As `_understood`; a large body beside the event loop, one at a time: two would only share one processor."""
        if len(exchange.message.body) < LARGE:
            return self._understood(exchange, call)
        async with self._large:
            return await asyncio.to_thread(self._understood, exchange, call)

    def _understood(
        self, exchange: "_Exchange", call: Call
    ) -> tuple[ParsedRequest, PreparedRequest, Mapping[str, str]]:
        """From bytes to checked updates, and what is left of the caller's rate. Raises `Refusal`."""
        incoming = exchange.decoded(call.body_types, self._bounds_of(call), self._now())
        credential = exchange.dialect.credential(incoming)
        token = self._catalog.token(credential, call.right)
        if rehearsal := _is_rehearsal(exchange.message, call):
            self._catalog.token(credential, READ)
        self._rates.admit(token.id)
        left = self._rates.spend(call.rates, call.method, call.path, token.id)
        asked = call.parse(incoming)
        if len(asked.commands) > self._most:
            raise refuse("too_many_profiles", f"at most {self._most} profiles a request")
        database = self._catalog.database(token, asked.database if incoming.is_typed else integer(asked.database))
        form = self._catalog.form(database, exchange.dialect)
        most = _faults_told(len(asked.commands))
        type = COMMAND_TYPES[call.operation]
        updates = [_checked(form, read, type, incoming.is_typed, most) for read in asked.commands]
        sent = [read.source for read in asked.commands]
        once = _once(exchange.message, call, asked.expires or self._now() + DAY, updates)
        work = PreparedRequest(
            exchange.dialect, token, database, form, updates, sent, once, asked.job, rehearsal, call.is_public
        )
        return asked, work, left

    def _bounds_of(self, call: Call) -> Bounds:
        """A batch may hold the nodes of many profiles; two levels more lead to each of them."""
        if call.operation not in BATCHES:
            return self._bounds
        bounds, most = self._bounds, self._most
        nodes = bounds.nodes * min(most, FULL_PROFILES)
        return Bounds(bounds.depth + 2, nodes, bounds.name, bounds.text, max(bounds.items, most))


class _Exchange:
    """A request and the codec of its reply, which is known better the more of the request was read."""

    def __init__(self, dialect: Dialect, message: Message) -> None:
        self.dialect = dialect
        self.message = message
        wanted, accepted = message.query.get("format"), message.headers.get("accept")
        self._codec: Codec = media.reply_codec(wanted, accepted, _codec_or_none(message))

    def decoded(self, bodies: tuple[type, ...], bounds: Bounds, now: int) -> Request:
        """The request as a dialect sees it. Raises `Refusal`."""
        message = self.message
        if not message.body and message.method in ("GET", "DELETE"):
            return self._incoming({}, now, True)
        codec, charset = media.codec_for(message.headers.get("content-type"))
        tree = codec.decode(message.body, charset, bounds)
        incoming = self._incoming(tree, now, codec.is_typed)
        wanted = self.dialect.media_type(incoming)
        self._codec = media.reply_codec(wanted, message.headers.get("accept"), codec)
        if not isinstance(tree, bodies):
            raise refuse("not_an_object")
        return incoming

    def _incoming(self, tree: Tree, now: int, typed: bool) -> Request:
        message = self.message
        return Request(tree, message.query, message.headers, message.path, message.target, now, typed)

    def plainly(self, tree: Tree) -> Reply:
        """A reply that is no vendor's, in the media type that the vendor's would have had."""
        return Reply(200, tree, {"content-type": CONTENT_TYPES[self._codec.name]})

    def response(self, reply: Reply, fault: str = "") -> Response:
        if reply.tree is None:
            return Response(reply.status, reply.headers, b"", fault)
        headers = {"content-type": self.dialect.content_types[self._codec.name], **reply.headers}
        return Response(reply.status, headers, self._codec.encode(reply.tree), fault)

    def refused(self, faults: Sequence[Fault], headers: Mapping[str, str] = MappingProxyType({})) -> Response:
        reply = self.dialect.render_faults(faults)
        return self.response(altered(reply, headers={**reply.headers, **headers}), faults[0].code)


def _told(exchange: "_Exchange", tell: Callable[[], Reply], left: Mapping[str, str]) -> Response:
    reply = tell()
    return exchange.response(altered(reply, headers={**reply.headers, **left}) if left else reply)


class _Outage:
    """Says once that the store is away, and once that it is back, however many requests that concerns."""

    def __init__(self) -> None:
        self._lasts = False

    def begins(self, reason: Unavailable) -> None:
        if not self._lasts:
            log.error("the store is unavailable: %s", type(reason.__cause__ or reason).__name__)
        self._lasts = True

    def ends(self) -> None:
        if self._lasts:
            log.warning("the store answers again")
        self._lasts = False


def _codec_or_none(message: Message) -> Codec | None:
    try:
        return media.codec_for(message.headers.get("content-type"))[0]
    except Refusal:
        return None


def _once(message: Message, call: Call, until: int, updates: Sequence[Update | Refusal]) -> IdempotencyKey | None:
    """What an Idempotency-Key asks for. The request is known again by its meaning, in whichever media type it comes.

    Raises `Refusal`: invalid_parameter.
    """
    key = message.headers.get("idempotency-key")
    if key is None or call.right == READ:
        return None
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= LONGEST_KEY):
        raise refuse("invalid_parameter", f"it must be 1 to {LONGEST_KEY} ASCII characters", "/Idempotency-Key")
    meant = [update.faults if isinstance(update, Refusal) else update for update in updates]
    told = json.dumps([call.method, call.path, sorted(message.path.items()), meant], sort_keys=True, default=str)
    # Calls that are open to any page have keys of their own: nobody could else take, or ask for, those of the others.
    identity = f"{FINGERPRINT_VERSION}:{fingerprint(told)}"
    return IdempotencyKey(f"{'open' if call.is_public else ''}/{key}", identity, until)


def _is_rehearsal(message: Message, call: Call) -> bool:
    """Whether a writing call asks for a dry run. Raises `Refusal`: invalid_parameter."""
    if DRY_RUN not in message.query or call.right == READ:
        return False
    given = {value for name, value in parse_qsl(urlsplit(message.target).query, True) if name == DRY_RUN}
    if len(given) != 1 or not given <= SAID.keys():
        raise refuse("invalid_parameter", f"it must be one of {', '.join(SAID)}", f"/{DRY_RUN}")
    is_asked = SAID[given.pop()]
    if is_asked and call.is_public:
        raise refuse("invalid_parameter", "a call that is open to any page tells of no profile", f"/{DRY_RUN}")
    return is_asked


# --- judging what was asked ---


def _faults_told(updates: int) -> int:
    """Of each of so many updates: many faults in many updates would take minutes to find."""
    return max(1, min(MOST_FAULTS, MOST_OF_ALL // max(1, updates)))


def _checked(
    form: CompiledSchema, read: ParsedCommand, type: CommandType, typed: bool, most: int = MOST_FAULTS
) -> Command | Refusal:
    """Return the command, coerced and validated, or a refusal of at most `most` faults."""
    if read.update is None:
        return Refusal(read.faults)
    return _judged(form, read.update if typed else form.coerce(read.update, type), type, read.faults, most)


def _judged(
    form: CompiledSchema, update: Command, type: CommandType, found: Sequence[Fault], most: int
) -> Command | Refusal:
    faults = [*found, *form.check(update, type, most)]
    if not faults:
        return update
    kept = _right_ones(form, update["subscriptions"], found) if _is_lenient(update) else None
    if kept is None or len(kept) == len(update["subscriptions"]):
        return Refusal(faults[:most])
    rest = [fault for fault in found if _subscription_of(fault) is None]
    return _judged(form, {**update, "subscriptions": kept}, type, rest, most)


def _right_ones(form: CompiledSchema, subscriptions: Sequence[Tree], found: Sequence[Fault]) -> list[Tree]:
    """The subscriptions of which nothing is wrong: what is, nobody is told."""
    bad = set(map(_subscription_of, found))
    return [each for index, each in enumerate(subscriptions) if index not in bad and form.accepts_subscription(each)]


def _subscription_of(fault: Fault) -> int | None:
    """The index of the subscription that a fault is about, if it is about one."""
    match split_pointer(fault.pointer):
        case ["subscriptions", index, *_]:
            return int(index)
    return None


def _is_lenient(update: Update) -> bool:
    """Whether subscriptions that are not right are left out, and there are any."""
    options, subscriptions = update.get("options"), update.get("subscriptions")
    is_asked = isinstance(options, dict) and options.get("skip_invalid_subscriptions") is True
    return is_asked and isinstance(subscriptions, list)


def _named(fault: Fault, names: Mapping[str, str]) -> Fault:
    """A fault, told of the place by the call's own name for it."""
    for place, name in names.items():
        if fault.pointer.startswith(place):
            return replace(fault, pointer=name + fault.pointer.removeprefix(place))
    return fault


def _report(error: Exception) -> None:
    """Says where it broke, never on which values: an exception's text may hold a person's."""
    frames = []
    trace = error.__traceback__
    while trace:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    log.error("unforeseen %s at %s", type(error).__name__, " < ".join(reversed(frames)))
