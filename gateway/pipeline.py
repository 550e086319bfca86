"""The story of one request: bytes, tree, canonical update, key, profile, reply, bytes.

Nothing here knows HTTP's wire, a vendor's words or an engine; each step is another room's, and this file is their order.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway import media
from gateway.catalog import Catalog
from gateway.core import matching
from gateway.core.edit import removing, the_one, updating
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Change, Database, Edit, Origin, Profile, Token, Update
from gateway.core.pointer import names_in
from gateway.dialects import BATCH, DESCRIBE, FIND, REMOVE, UPDATE, Answer, Asked, Call, Dialect, Incoming, Reply
from gateway.geo import Locator
from gateway.media import Bounds, Codec
from gateway.schema import Form
from gateway.stores import Store, Unavailable

log = logging.getLogger("gateway")

LARGE = 256 * 1024
"""Bodies from this size on (bytes) are understood beside the event loop, so that they hold up nobody else's."""

CONTENT_TYPES = {"json": "application/json", "xml": "application/xml"}


@dataclass(frozen=True, slots=True)
class Message:
    """One request, whole. Header names are in lower case; `path` holds the names of the call's path."""

    method: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Understood:
    """A request that may be carried out: every update is checked, or stands for its faults."""

    asked: Asked
    token: Token
    database: Database
    form: Form
    updates: Sequence[Update | Refusal]


class Pipeline:
    """Carries requests through the rooms. `now` gives milliseconds since 1970, `new_id` the id of a new profile."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        locator: Locator,
        bounds: Bounds,
        most: int,
        now: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._locator = locator
        self._bounds = bounds
        self._most = most
        self._now = now
        self._new_id = new_id

    async def respond(self, dialect: Dialect, call: Call, message: Message) -> Response:
        """The response to a request, whatever happens."""
        exchange = _Exchange(dialect, message)
        try:
            await self._catalog.refresh()
            if len(message.body) < LARGE:
                understood = self._understand(exchange, call)
            else:
                understood = await asyncio.to_thread(self._understand, exchange, call)
            reply = call.write(understood.asked, await self._carry_out(dialect, call.verb, understood))
        except Refusal as refusal:
            reply = dialect.refused(refusal.faults)
        except Unavailable:
            reply = dialect.refused([Fault("store_unavailable")])
        except Exception as error:
            _report(error)
            reply = dialect.refused([Fault("internal_error")])
        return exchange.response(reply)

    def refused(self, dialect: Dialect, message: Message, fault: Fault, headers: Mapping[str, str] = {}) -> Response:  # noqa: B006
        """The response to a request that reaches no call."""
        reply = dialect.refused([fault])
        return _Exchange(dialect, message).response(Reply(reply.status, reply.tree, {**reply.headers, **headers}))

    def _understand(self, exchange: "_Exchange", call: Call) -> Understood:
        """From bytes to checked updates. Raises `Refusal`."""
        incoming, typed = exchange.decoded(self._bounds if call.verb != BATCH else _for_batch(self._bounds, self._most))
        token = self._catalog.token(exchange.dialect.credential(incoming), call.right)
        asked = call.read(incoming)
        if len(asked.updates) > self._most:
            raise refuse("too_many_profiles", f"at most {self._most} profiles a request")
        id = asked.updates[0].get("database", token.database) if asked.updates else token.database
        database = self._catalog.database(token, id if typed else _integer(id))
        form = self._catalog.form(database, exchange.dialect)
        faults = asked.faults or [()] * len(asked.updates)
        updates = [_checked(form, update, found, typed) for update, found in zip(asked.updates, faults, strict=True)]
        if call.verb != BATCH and isinstance(updates[0], Refusal):
            raise updates[0]
        return Understood(Asked(updates, about=asked.about) if not typed else asked, token, database, form, updates)

    async def _carry_out(self, dialect: Dialect, verb: str, understood: Understood) -> Answer:
        outcomes = await _VERBS[verb](self, dialect, understood)
        return Answer(understood.database, outcomes)

    # --- the verbs ---

    async def _change(self, dialect: Dialect, understood: Understood) -> list[Profile | Sequence[Fault] | None]:
        """Changes each profile; what was refused before is answered beside what the store says of the rest."""
        prepared = [self._prepared(update, dialect, understood) for update in understood.updates]
        answers = iter(await self._store.change([each for each in prepared if isinstance(each, Change)]))
        outcomes = [next(answers) if isinstance(each, Change) else each for each in prepared]
        return [each.faults if isinstance(each, Refusal) else each.profile for each in outcomes]

    async def _change_one(self, dialect: Dialect, understood: Understood) -> list[Profile | Sequence[Fault] | None]:
        (outcome,) = await self._change(dialect, understood)
        if isinstance(outcome, Profile | None):
            return [outcome]
        raise Refusal(outcome)

    async def _find(self, _dialect: Dialect, understood: Understood) -> list[Profile | Sequence[Fault] | None]:
        (update,) = understood.updates
        assert not isinstance(update, Refusal)
        key = matching.key(update["match"], understood.form.identifiers)
        return [the_one(await self._store.find(understood.database.id, key))]

    async def _describe(self, _dialect: Dialect, _understood: Understood) -> list[Profile | Sequence[Fault] | None]:
        return []

    def _prepared(self, update: Update | Refusal, dialect: Dialect, understood: Understood) -> Change | Refusal:
        if isinstance(update, Refusal):
            return update
        form = understood.form
        try:
            key = matching.key(update["match"], form.identifiers)
        except Refusal as refusal:
            return refusal
        options = update.get("options", {})
        origin = Origin(understood.token.id, dialect.name, self._now(), not options.get("skip_triggers", False))
        if options.get("detect_geo"):
            update = self._locator.located(update)
        edit: Edit = updating(update, key, form.identifiers, form.check_profile, self._new_id(), origin.time)
        return Change(understood.database.id, key, edit, origin)

    async def _remove(self, dialect: Dialect, understood: Understood) -> list[Profile | Sequence[Fault] | None]:
        (update,) = understood.updates
        assert not isinstance(update, Refusal)
        key = matching.key(update["match"], understood.form.identifiers)
        origin = Origin(understood.token.id, dialect.name, self._now(), not update.get("options", {}).get("skip_triggers", False))
        change = Change(understood.database.id, key, removing(key, understood.form.identifiers), origin)
        (outcome,) = await self._store.change([change])
        if isinstance(outcome, Refusal):
            raise outcome
        return [outcome.profile]


_VERBS = {
    UPDATE: Pipeline._change_one,
    BATCH: Pipeline._change,
    FIND: Pipeline._find,
    REMOVE: Pipeline._remove,
    DESCRIBE: Pipeline._describe,
}


class _Exchange:
    """A request and the codec of its reply, which is known better the more of the request was read."""

    def __init__(self, dialect: Dialect, message: Message) -> None:
        self.dialect = dialect
        self._message = message
        self._codec: Codec = media.reply_codec(
            message.query.get("format"), message.headers.get("accept"), _codec_or_none(message)
        )

    def decoded(self, bounds: Bounds) -> tuple[Incoming, bool]:
        """The request as a dialect sees it, and whether its leaves carry their types. Raises `Refusal`."""
        message = self._message
        if not message.body and message.method in ("GET", "DELETE"):
            return Incoming({}, message.query, message.headers, message.path), True
        codec, charset = media.codec_for(message.headers.get("content-type"))
        tree = codec.decode(message.body, charset, bounds)
        tree = {} if tree == "" and not codec.typed else tree
        incoming = Incoming(tree, message.query, message.headers, message.path)
        wanted = self.dialect.media_type(incoming)
        self._codec = media.reply_codec(wanted, message.headers.get("accept"), codec)
        if not isinstance(tree, dict):
            raise refuse("not_an_object")
        return incoming, codec.typed

    def response(self, reply: Reply) -> Response:
        headers = {"content-type": CONTENT_TYPES[self._codec.name], **reply.headers}
        return Response(reply.status, headers, self._codec.encode(reply.tree))


def _codec_or_none(message: Message) -> Codec | None:
    try:
        return media.codec_for(message.headers.get("content-type"))[0]
    except Refusal:
        return None


def _for_batch(bounds: Bounds, most: int) -> Bounds:
    """A batch may hold as many nodes as its profiles together; two levels more lead to them."""
    return Bounds(bounds.depth + 2, bounds.nodes * most)


def _integer(leaf: Any) -> Any:
    return int(leaf) if isinstance(leaf, str) and leaf.strip().isdecimal() and leaf.isascii() and len(leaf) < 20 else leaf


def _checked(form: Form, update: Update, found: Sequence[Fault], typed: bool) -> Update | Refusal:
    """The update with its leaves read and everything judged, or the refusal that names every fault."""
    if not update:
        return Refusal(found)
    update = update if typed else form.read(update)
    faults = [*found, *form.check(update)]
    if not faults:
        return update
    options = update.get("options")
    if isinstance(options, dict) and options.get("skip_invalid_subscriptions") is True:
        return _without_bad_subscriptions(form, update, faults) or Refusal(faults)
    return Refusal(faults)


def _without_bad_subscriptions(form: Form, update: Update, faults: Sequence[Fault]) -> Update | Refusal | None:
    """The update without the subscriptions that have faults, judged again; None where none of the faults is theirs."""
    at = [names_in(fault.pointer) for fault in faults]
    bad = {int(path[1]) for path in at if path[:1] == ["subscriptions"] and path[1:]}
    rest = [fault for fault, path in zip(faults, at, strict=True) if path[:1] != ["subscriptions"] or not path[1:]]
    if not bad:
        return None
    kept = [one for index, one in enumerate(update["subscriptions"]) if index not in bad]
    return Refusal(rest) if rest else _checked(form, {**update, "subscriptions": kept}, (), typed=True)


def _report(error: Exception) -> None:
    """Says where it broke, never on which values: an exception's text may hold a person's."""
    frames = []
    trace = error.__traceback__
    while trace:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    log.error("unforeseen %s at %s", type(error).__name__, " < ".join(reversed(frames)))
