"""Pages of the feed as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import AsyncIterator

from msgspec import Struct

from gateway.core.cursor import format_cursor
from gateway.feed.pages import Page
from gateway.media import json
from gateway.service.http_messages import Response

EVENT_STREAM = "text/event-stream"


class EventStream(Struct, frozen=True):
    """A response whose body is sent piece by piece. The body of `head` is empty."""

    head: Response
    chunks: AsyncIterator[bytes]


def encode_page(store: str, page: Page) -> bytes:
    """Encode the events of a page, each with its cursor as id.

    An empty page is an id alone: the client keeps it for its next connection, and a proxy sees that the stream lives.
    """
    if not page.events:
        return f"id: {format_cursor(store, page.position)}\n\n".encode()
    return b"".join([b"id: %b\ndata: %b\n\n" % (each["id"].encode(), json.encode(each)) for each in page.events])
