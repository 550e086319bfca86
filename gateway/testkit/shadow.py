"""Sends what one server answered to another one too, and tells where their answers differ in meaning, as JSON lines.

The client gets the first server's answer, and never waits: what the other cannot keep up with is left out and counted.
A line tells places and types; values only where that was asked for, since they may be personal.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.testkit.comparison import ABSENT, Difference, Meaning, differences, meaning
from gateway.testkit.generated_values import ID, ids_in, masked, paired_ids
from gateway.testkit.proxy import Got, Headers, Sent, Server
from gateway.testkit.pseudonyms import StandIns

WAITING = 1_000
"""As many conversations as may wait for the other server."""

MOST_IDS = 100_000
"""As many pairs of ids as are remembered."""


class Shadow:
    """Holds a second server against what a first one answered, one conversation after another, in their order."""

    def __init__(
        self, first: Server, other: Server, tell: Callable[[str], None], values: bool = False, waiting: int = WAITING
    ) -> None:
        self._authority = first.authority
        self._other = other
        self._tell = tell
        self._values = values
        self._stand_ins = StandIns()
        self._queue: asyncio.Queue[tuple[Sent, Got]] = asyncio.Queue(waiting)
        self._left_out = 0
        self._ids: dict[str, str] = {}

    async def seen(self, sent: Sent, got: Got) -> None:
        """Takes a conversation in, where there is room; never waits."""
        try:
            self._queue.put_nowait((sent, got))
        except asyncio.QueueFull:
            self._left_out += 1

    async def run(self) -> None:
        """Works until it is cancelled. Whatever a conversation holds, the next one is compared."""
        while True:
            sent, got = await self._queue.get()
            self._confess()
            try:
                await self._compare(sent, got)
            except httpx.HTTPError as reason:
                self._say(sent, problem=f"{self._other.authority} does not answer: {type(reason).__name__}")
            except Exception as reason:
                self._say(sent, problem=f"the answers cannot be compared: {type(reason).__name__}")
            finally:
                self._queue.task_done()

    async def drained(self) -> None:
        """Waits until everything that was taken in was compared."""
        await self._queue.join()
        self._confess()

    async def _compare(self, sent: Sent, got: Got) -> None:
        theirs = await self._other.ask(self._with_its_ids(sent))
        # In a thread: large answers take seconds to compare, and no client is to wait so long.
        if found := await asyncio.to_thread(lambda: [self._told(each) for each in self._apart(sent, got, theirs)]):
            self._say(sent, differences=found)

    def _apart(self, sent: Sent, got: Got, theirs: Got) -> Iterator[Difference]:
        if got.status != theirs.status:
            yield Difference("status", "", got.status, theirs.status)
        mine, other = _understood(got), _understood(theirs)
        if mine is None or other is None:
            if got.plain != theirs.plain:
                yield Difference("body", "", _readable(mine), _readable(other))
            return
        self._learn(mine.tree, other.tree)
        kept = {each for each in _ids_of(sent) if self._ids.get(each, each) == each}
        expected = masked(mine.tree, kept, self._authority)
        yield from differences(Meaning(expected, mine.is_typed), other, "answer")

    def _learn(self, mine: Tree, theirs: Tree) -> None:
        for known, other in paired_ids(mine, theirs):
            if known != other:
                self._ids[known] = other
        while len(self._ids) > MOST_IDS:
            del self._ids[next(iter(self._ids))]

    def _with_its_ids(self, sent: Sent) -> Sent:
        """The request, with the other server's ids where it names those that the first one gave."""
        if not self._ids:
            return sent
        headers: Headers = [(name, value) for name, value in sent.headers if name != b"content-length"]
        return Sent(sent.method, self._named(sent.target), headers, self._named(sent.body))

    def _named(self, raw: bytes) -> bytes:
        text = raw.decode("latin-1")
        return ID.sub(lambda found: self._ids.get(found[0], found[0]), text).encode("latin-1")

    def _told(self, difference: Difference) -> dict[str, Any]:
        place = {"at": f"{difference.where} {difference.pointer}".rstrip()}
        if self._values or difference.where != "answer":
            return {**place, "to": _shown(difference.expected), "compare": _shown(difference.got)}
        return {**place, "to": _kind(difference.expected), "compare": _kind(difference.got)}

    def _say(self, sent: Sent, **told: Any) -> None:
        target = self._stand_ins.target(sent.target.decode("latin-1"), {}).partition("?")[0]
        self._tell(json.dumps({"method": sent.method, "path": target, **told}, ensure_ascii=False))

    def _confess(self) -> None:
        if self._left_out:
            self._tell(json.dumps({"left_out": self._left_out}))
            self._left_out = 0


def _understood(got: Got) -> Meaning | None:
    """What an answer means; None where it cannot be read."""
    try:
        body = got.plain
        return meaning(media.codec_for(got.header("content-type"))[0].name, body) if body else Meaning(ABSENT, True)
    except (Refusal, ValueError, httpx.HTTPError):
        return None


def _ids_of(sent: Sent) -> set[str]:
    return ids_in(f"{sent.target.decode('latin-1')} {sent.body.decode('latin-1')}")


def _kind(value: Any) -> str:
    """What sort of value stands there, which tells of nobody."""
    match value:
        case _ if value is ABSENT:
            return "nothing"
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case dict():
            return "object"
        case _:
            return "list"


def _readable(found: Meaning | None) -> str:
    return "neither JSON nor XML" if found is None else "JSON or XML"


def _shown(value: Any) -> Any:
    return None if value is ABSENT else value
