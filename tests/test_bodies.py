"""Bodies of requests: content encodings, limits while they stream, and the concurrency limit."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import pytest

from gateway.server.bodies import BodyReader
from gateway.server.content_encoding import MAX_MEMBERS
from gateway.server.errors import RequestRefusal
from gateway.settings import Settings
from tests.test_app import UPDATE, XML, asked, seeded_store

IMPORT = "/api/v1.1/profiles/import"
JSON = json.dumps(UPDATE).encode()
LARGE = json.dumps({**UPDATE, "data": {"note": "x" * 900_000}}).encode()
ZLIB_HEAD, EMPTY_BLOCK = zlib.compress(b"")[:2], b"\x00\x00\x00\xff\xff"
BOMB = gzip.compress(b" " * 100_000_000)


def sent(content: Any, settings: Settings = Settings(), **headers: str) -> httpx.Response:  # noqa: B008
    """Return the response to an import with this body."""

    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post(IMPORT, content=content, headers={"content-type": "application/json", **named})

    reply: httpx.Response = asked(converse, asyncio.run(seeded_store()), settings)
    return reply


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(JSON)),
        ("X-GZip", gzip.compress(JSON)),
        ("gzip ", gzip.compress(JSON)),
        ("gzip", gzip.compress(JSON[:9]) + gzip.compress(JSON[9:])),
        ("x-gzip", gzip.compress(b"") * (MAX_MEMBERS - 1) + gzip.compress(JSON)),
        ("deflate", zlib.compress(JSON)),
        ("identity", JSON),
        ("", JSON),
    ],
)
def test_a_content_encoding_is_decoded(coding: str, body: bytes) -> None:
    assert sent(body, content_encoding=coding).json()["error"] == 0


def test_encodings_are_decoded_in_xml_too() -> None:
    reply = sent(gzip.compress(XML.encode()), content_type="application/xml", content_encoding="gzip")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/xml"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, identity", "utf-8", "é"])
def test_an_unsupported_encoding_is_rejected_with_the_supported_ones(coding: str) -> None:
    reply = sent(JSON, content_encoding=coding.encode("latin-1"))  # type: ignore[arg-type]
    assert (reply.status_code, reply.json()["error"]) == (415, 415)
    assert reply.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("gzip", JSON, "is not what its Content-Encoding says"),
        ("gzip", zlib.compress(JSON), "is not what its Content-Encoding says"),
        ("deflate", zlib.compress(JSON, wbits=-15), "is not what its Content-Encoding says"),
        ("gzip", gzip.compress(JSON)[:-5], "ends too early"),
        ("gzip", gzip.compress(JSON) + b"x", "something behind its end"),
        ("gzip", gzip.compress(JSON) + gzip.compress(b" ")[:-5], "ends too early"),
        ("gzip", gzip.compress(JSON) + b"\x1fx", "is not what its Content-Encoding says"),
        ("gzip", gzip.compress(JSON) + bytes(8), "something behind its end"),
        ("gzip", gzip.compress(JSON) + zlib.compress(b" "), "something behind its end"),
        ("gzip", gzip.compress(b"") * MAX_MEMBERS + gzip.compress(JSON), "at most 1000 members"),
        ("deflate", zlib.compress(JSON) * 2, "something behind its end"),
    ],
)
def test_a_broken_encoding_is_rejected(coding: str, body: bytes, reason: str) -> None:
    reply = sent(body, content_encoding=coding)
    assert reply.status_code == 400
    assert reason in reply.json()["error_text"]


def test_a_body_may_grow_to_its_limit_and_by_its_ratio() -> None:
    assert sent(gzip.compress(LARGE), Settings(max_compression=2_000), content_encoding="gzip").status_code == 200
    by_ratio = sent(gzip.compress(LARGE), content_encoding="gzip")
    by_limit = sent(gzip.compress(LARGE, 0), Settings(max_body=100_000), content_encoding="gzip")
    assert (by_ratio.status_code, by_limit.status_code) == (413, 413)
    assert "100 times its compressed size" in by_ratio.text
    assert "at most 100000 bytes" in by_limit.text


def read(bodies: BodyReader, headers: Mapping[bytes, bytes], chunks: Iterable[bytes], limit: int) -> bytes:
    """Read a body that arrives in these chunks."""

    async def receive() -> dict[str, Any]:
        return next(events)

    events = iter([*({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks),
                   {"type": "http.request", "body": b"", "more_body": False}])  # fmt: skip
    return asyncio.run(bodies.read(tuple(headers.items()), receive, limit))


@pytest.mark.parametrize("step", [1, 7, 65_536])
def test_an_encoding_is_decoded_in_chunks_of_any_size(step: int) -> None:
    body = gzip.compress(JSON[:9]) + gzip.compress(JSON[9:])
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    assert read(BodyReader(100, 10_000), {b"content-encoding": b"gzip"}, chunks, 10_000) == JSON


def test_a_compression_bomb_stays_out_of_memory() -> None:
    tracemalloc.start()
    with pytest.raises(RequestRefusal, match="body_too_large"):
        read(BodyReader(2_000, 2**30), {b"content-encoding": b"gzip"}, [BOMB], 1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("step", [1_000, 2**20])
def test_the_members_of_a_body_are_limited_together(step: int) -> None:
    body = gzip.compress(b" " * 60_000, 0) * 2
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    with pytest.raises(RequestRefusal, match="body_too_large"):
        read(BodyReader(100, 2**20), {b"content-encoding": b"gzip"}, chunks, 100_000)


def test_compressed_data_without_contents_is_limited_too() -> None:
    with pytest.raises(RequestRefusal, match="body_too_large"):
        read(BodyReader(100, 2**20), {b"content-encoding": b"deflate"}, [ZLIB_HEAD, *[EMPTY_BLOCK] * 250], 1_000)


def test_incomplete_bodies_are_limited_and_released() -> None:
    bodies = BodyReader(100, 1_000)
    for _ in range(3):
        with pytest.raises(RequestRefusal, match="overloaded") as refusal:
            read(bodies, {}, [b"x" * 600] * 2, 10_000)
        assert refusal.value.headers == {"retry-after": "1"}
        assert read(bodies, {}, [b"x" * 400] * 2, 10_000) == b"x" * 800


def test_expect_of_a_body_that_is_too_large_closes_the_connection() -> None:
    settings = Settings(max_body=10)
    assert sent(JSON, settings, expect="100-continue").headers["connection"] == "close"
    assert "connection" not in sent(JSON, settings).headers


def test_requests_over_the_concurrency_limit_are_rejected_in_their_dialect() -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        in_xml = {"content": XML, "headers": {"content-type": "application/xml"}}
        in_json = {"json": UPDATE}
        return await asyncio.gather(*(client.post(IMPORT, **body) for body in (in_json, in_json, in_xml)))

    async def slow(changes: Any) -> Any:
        await asyncio.sleep(0.05)
        return await change(changes)

    store = asyncio.run(seeded_store())
    change, store.change = store.change, slow  # type: ignore[method-assign]
    first, second, third = asked(converse, store, Settings(max_requests=1))
    assert (first.status_code, second.status_code, third.status_code) == (200, 503, 503)
    assert second.headers["retry-after"] == third.headers["retry-after"] == "1"
    assert second.json()["error"] == 503
    assert third.headers["content-type"] == "application/xml"
    assert asked(lambda client: client.post(IMPORT, json=UPDATE), store, Settings(max_requests=1)).status_code == 200
