"""Sends every request to a second server too, and reports where the two responses differ, as JSON lines.

The client receives the response of the first server and never waits for the second: requests that the second cannot
keep up with are skipped and counted. A line has places and types; values only on request, since they may be personal.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.core.pointer import split_pointer, value_at
from gateway.testkit.comparison import ABSENT, Difference, ParsedBody, find_differences, parse_body
from gateway.testkit.generated_values import ID, find_ids, pair_ids, replace_generated_values
from gateway.testkit.matchers import escape
from gateway.testkit.proxy import ForwardedRequest, ForwardedResponse, Headers, UpstreamServer
from gateway.testkit.pseudonyms import Pseudonyms

MAX_QUEUED = 1_000
"""Conversations that may wait for the second server."""

MAX_ID_PAIRS = 100_000
"""Pairs of ids that are remembered."""


class Shadow:
    """Compares a second server with a first one, one conversation after another, in order."""

    def __init__(
        self,
        first: UpstreamServer,
        other: UpstreamServer,
        write: Callable[[str], None],
        values: bool = False,
        waiting: int = MAX_QUEUED,
    ) -> None:
        self._authority = first.authority
        self._other = other
        self._write = write
        self._values = values
        self._pseudonyms = Pseudonyms()
        self._queue: asyncio.Queue[tuple[ForwardedRequest, ForwardedResponse]] = asyncio.Queue(waiting)
        self._skipped = 0
        self._ids: dict[str, str] = {}

    async def enqueue(self, sent: ForwardedRequest, got: ForwardedResponse) -> None:
        """Queue a conversation if the queue is not full. Never waits."""
        try:
            self._queue.put_nowait((sent, got))
        except asyncio.QueueFull:
            self._skipped += 1

    async def run(self) -> None:
        """Compare queued conversations until cancelled. No error in one stops the next."""
        while True:
            sent, got = await self._queue.get()
            self._report_skipped()
            try:
                await self._compare(sent, got)
            except httpx.HTTPError as reason:
                self._report(sent, problem=f"{self._other.authority} does not answer: {type(reason).__name__}")
            except Exception as reason:
                self._report(sent, problem=f"the answers cannot be compared: {type(reason).__name__}")
            finally:
                self._queue.task_done()

    async def drain(self) -> None:
        """Wait until every queued conversation is compared."""
        await self._queue.join()
        self._report_skipped()

    async def _compare(self, sent: ForwardedRequest, got: ForwardedResponse) -> None:
        theirs = await self._other.send(self._translate_ids(sent))
        # In a thread: comparing large responses takes seconds, and would block the clients.
        if found := await asyncio.to_thread(
            lambda: [self._describe(each) for each in self._differences(sent, got, theirs)]
        ):
            self._report(sent, differences=found)

    def _differences(
        self, sent: ForwardedRequest, got: ForwardedResponse, theirs: ForwardedResponse
    ) -> Iterator[Difference]:
        if got.status != theirs.status:
            yield Difference("status", "", got.status, theirs.status)
        mine, other = _parse(got), _parse(theirs)
        if mine is None or other is None:
            if got.plain != theirs.plain:
                yield Difference("body", "", _media_of(mine), _media_of(other))
            return
        self._remember_ids(mine.tree, other.tree)
        kept = {each for each in _ids_of(sent) if self._ids.get(each, each) == each}
        expected = replace_generated_values(escape(mine.tree), kept, self._authority)
        for difference in find_differences(ParsedBody(expected, mine.is_typed), other, "answer"):
            yield _with_real_value(difference, mine.tree)

    def _remember_ids(self, mine: Tree, theirs: Tree) -> None:
        for known, other in pair_ids(mine, theirs):
            if known != other:
                self._ids[known] = other
        while len(self._ids) > MAX_ID_PAIRS:
            del self._ids[next(iter(self._ids))]

    def _translate_ids(self, sent: ForwardedRequest) -> ForwardedRequest:
        """Return the request with the ids of the second server in place of those of the first."""
        if not self._ids:
            return sent
        headers: Headers = [(name, value) for name, value in sent.headers if name != b"content-length"]
        return ForwardedRequest(sent.method, self._replace_ids(sent.target), headers, self._replace_ids(sent.body))

    def _replace_ids(self, raw: bytes) -> bytes:
        text = raw.decode("latin-1")
        return ID.sub(lambda found: self._ids.get(found[0], found[0]), text).encode("latin-1")

    def _describe(self, difference: Difference) -> dict[str, Any]:
        place = {"at": f"{difference.where} {difference.pointer}".rstrip()}
        if self._values or difference.where != "answer":
            return {**place, "to": _to_json(difference.expected), "compare": _to_json(difference.got)}
        return {**place, "to": _type_of(difference.expected), "compare": _type_of(difference.got)}

    def _report(self, sent: ForwardedRequest, **members: Any) -> None:
        target = self._pseudonyms.target(sent.target.decode("latin-1"), {}).partition("?")[0]
        self._write(json.dumps({"method": sent.method, "path": target, **members}, ensure_ascii=False))

    def _report_skipped(self) -> None:
        if self._skipped:
            self._write(json.dumps({"left_out": self._skipped}))
            self._skipped = 0


def _parse(got: ForwardedResponse) -> ParsedBody | None:
    """Parse a response; None if it is malformed."""
    try:
        if not (body := got.plain):
            return ParsedBody(ABSENT, True)
        codec, charset = media.codec_for(got.header("content-type"))
        return parse_body(codec.name, body, charset)
    except (Refusal, ValueError, httpx.HTTPError):
        return None


def _with_real_value(difference: Difference, mine: Tree) -> Difference:
    """Return a difference with the value of the first response instead of its matcher or escaped form."""
    if not isinstance(difference.expected, dict | list):
        return difference
    real = value_at(mine, split_pointer(difference.pointer))
    return difference if real is None else replace(difference, expected=real)


def _ids_of(sent: ForwardedRequest) -> set[str]:
    return find_ids(f"{sent.target.decode('latin-1')} {sent.body.decode('latin-1')}")


def _type_of(value: Any) -> str:
    """Return the type of a value, which is not personal."""
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


def _media_of(found: ParsedBody | None) -> str:
    return "neither JSON nor XML" if found is None else "JSON or XML"


def _to_json(value: Any) -> Any:
    return None if value is ABSENT else value
