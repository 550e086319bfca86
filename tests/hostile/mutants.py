"""Mutants of the public corpora: each body damaged, joined, spelled otherwise or wrapped, and sent to some call.

The same seed makes the same mutants. Nothing here knows what the answer should be.
"""

import json
import random
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from tests.hostile.server import TOKEN, Request

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
LONGEST = 20_000
"""Of a row that is mutated, as many bytes."""

JSON, XML = "application/json", "application/xml"
MEDIA_TYPES = (JSON, XML, "text/xml", "application/vnd.api+json", f"{XML}; charset=utf-16", f"{JSON}; charset=koi8-r")
ENCODINGS = ("utf-16", "utf-16-le", "utf-7", "utf-8-sig", "koi8-r", "cp1251", "utf-32", "idna")


def rows() -> list[tuple[str, bytes]]:
    """(media type, body) of every row of every corpus; a text is a body in both media types."""
    found: list[tuple[str, bytes]] = []
    for file in sorted(CORPORA.glob("*.jsonl")):
        for row in map(json.loads, filter(None, file.read_text().split("\n"))):
            if "b64" in row:
                body = b64decode(row["b64"])[:LONGEST]
                found.append((JSON if file.stem.startswith("json") else XML, body))
            elif isinstance(row.get("text"), str):
                found += [(JSON, json.dumps(row["text"]).encode()), (XML, escape(row["text"]).encode(errors="replace"))]
    return found


def mutants(seed: int) -> Iterator[Request]:
    """Mutants without end."""
    chance = random.Random(seed)
    pool = rows()
    while pool:
        media_type, body = chance.choice(pool)
        for _ in range(chance.randint(0, 3)):
            body = chance.choice(DAMAGES)(chance, body, chance.choice(pool)[1])
        if chance.random() < 0.7:
            body = wrapped(chance, media_type, body)
        if chance.random() < 0.1:
            media_type = chance.choice(MEDIA_TYPES)
        yield sent(chance, media_type, body)


# --- damages ---


def _spliced(chance: random.Random, body: bytes, other: bytes) -> bytes:
    return body[: chance.randint(0, len(body))] + other[chance.randint(0, len(other)) :]


def _truncated(chance: random.Random, body: bytes, _other: bytes) -> bytes:
    return body[: chance.randint(0, len(body))]


def _repeated(chance: random.Random, body: bytes, _other: bytes) -> bytes:
    """A slice again, right behind itself: often a whole member."""
    start, end = sorted((chance.randint(0, len(body)), chance.randint(0, len(body))))
    return body[:end] + body[start:]


def _with_a_member_twice(_chance: random.Random, body: bytes, _other: bytes) -> bytes:
    inner = body.strip()[1:-1]
    return b"{" + inner + b"," + inner + b"}" if body.lstrip().startswith(b"{") else body + body


def _flipped(chance: random.Random, body: bytes, _other: bytes) -> bytes:
    if not body:
        return body
    at = chance.randrange(len(body))
    return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def _encoded(chance: random.Random, body: bytes, _other: bytes) -> bytes:
    try:
        return body.decode(errors="replace").encode(chance.choice(ENCODINGS), "replace")
    except UnicodeError:
        return body


DAMAGES: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    _spliced,
    _truncated,
    _repeated,
    _with_a_member_twice,
    _flipped,
    _encoded,
)

# --- wrappings ---

WRAPPINGS: dict[str, tuple[bytes, ...]] = {
    JSON: (
        b'{"token":"%s","db_id":1,"email":"m@example.com","data":{"own":@}}' % TOKEN.encode(),
        b'{"token":"%s","db_id":1,"email":"m@example.com","data":@}' % TOKEN.encode(),
        b'{"token":"%s","db_id":1,"matching":@,"data":{"_fname":"m"}}' % TOKEN.encode(),
        b'{"profile":{"own":@}}',
        b'{"patch":[{"op":"add","path":"/own","value":@}]}',
        b'{"data":{"type":"profile","attributes":{"email":"m@example.com","properties":{"own":@}}}}',
        b'{"data":{"type":"profile","attributes":@}}',
    ),
    XML: (
        b"<xml><token>%s</token><db_id>1</db_id><email>m@example.com</email><data><own>@</own></data></xml>"
        % TOKEN.encode(),
        b"<xml><token>%s</token><db_id>1</db_id><email>m@example.com</email><data>@</data></xml>" % TOKEN.encode(),
        b"<xml><profile><own>@</own></profile></xml>",
        b"<xml><data><type>profile</type><attributes><email>m@example.com</email>@</attributes></data></xml>",
    ),
}


def wrapped(chance: random.Random, media_type: str, body: bytes) -> bytes:
    before, _, after = chance.choice(WRAPPINGS[media_type]).rpartition(b"@")
    return before + body + after


# --- calls ---

CALLS = (
    *(("POST", f"/api/v1.1/profiles/{name}") for name in ("import", "update", "add", "import_batch", "get", "delete")),
    ("POST", "/api/v1.1/subscriptions/set"),
    *((method, "/profiles/mutant") for method in ("POST", "PUT", "PATCH")),
    ("POST", "/profiles/mutant/lists"),
    *(("POST", path) for path in ("/api/profiles", "/api/profile-import", "/client/profiles?company_id=demo")),
    *(("POST", path) for path in ("/api/profile-bulk-import-jobs", "/api/profile-merge")),
)


def sent(chance: random.Random, media_type: str, body: bytes) -> Request:
    """A body at a call, mostly of the dialect that it is wrapped for."""
    method, path = chance.choice([call for call in CALLS if chance.random() < 0.1 or suits(call[1], body)] or CALLS)
    headers = {"authorization": f"Bearer {TOKEN}", "revision": "2024-10-15", "content-type": media_type}
    if chance.random() < 0.2:
        headers["accept"] = chance.choice((JSON, XML))
    elif not ("json" in media_type or "xml" in media_type):
        headers["accept"] = JSON
    return Request(method, path, headers, body)


def suits(path: str, body: bytes) -> bool:
    if b"db_id" in body:
        return path.startswith("/api/v1.1/")
    return path.startswith("/profiles/") if b"profile>" in body or b'{"p' in body else path[:5] in ("/api/", "/clie")
