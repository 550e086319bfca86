"""A real server under attack: hostile bodies and values, all public corpora and mutants of them, crossed credentials.

`make test-hostile` tries 20,000 mutants and 20,000 crossed requests; what is tried here is a sample of the same.
"""

import gc
import json
import os
from base64 import b64decode
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from gateway import media
from gateway.dialects import load_dialects
from gateway.dialects.protocol import MERGE, REMOVE
from gateway.stores.rows import MAX_DOCUMENT_BYTES
from gateway.testkit.server_thread import ServerThread
from tests.cases import NOW, Case
from tests.hostile.attacks import ATTACKS, Attack
from tests.hostile.crossed import (
    CANARY,
    DEVICE,
    EMAIL,
    ID,
    JOBS,
    RESOURCE_TOKEN,
    TOKEN,
    Crossed,
    crossed,
    made,
    right_secret,
)
from tests.hostile.mutants import CORPORA, mutants
from tests.hostile.server import Reply, Request, ServerUnderTest, opened
from tests.hostile.typed import TYPED, without_types

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "300"))
SEED = int(os.environ.get("HOSTILE_SEED", "20261122"))
VERDICTS = json.loads((Path(__file__).parent / "hostile" / "verdicts.json").read_text())
STORED = "what-nobody-else-may-read"

pytestmark = pytest.mark.hostile


@pytest.fixture
def server(host: ServerThread, tmp_path: Path) -> Iterator[ServerUnderTest]:
    with opened(host, tmp_path) as server:
        yield server


# --- one by one ---


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_has_the_expected_response(server: ServerUnderTest, attack: Attack) -> None:
    reply = server.answer(attack.request())
    assert reply.status == attack.status, reply
    assert attack.reply_text in reply.body.decode(), reply
    assert len(reply.body) < 16_384
    assert b"root:" not in reply.body


@pytest.mark.parametrize("path", TYPED)
def test_an_empty_text_is_of_no_other_type(server: ServerUnderTest, path: str) -> None:
    """XML's empty element may be an object or a list; JSON's empty text may not."""
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "revision": "2025-10-15"}
    assert server.answer(Request("POST", path, headers, json.dumps(TYPED[path]).encode())).status < 300
    for tree in without_types(TYPED[path]):
        reply = server.answer(Request("POST", path, headers, json.dumps(tree).encode()))
        assert is_refused(reply), (tree, reply)


def is_refused(reply: Reply) -> bool:
    """Whether all of a request was, a job of a single profile too."""
    job = json.loads(reply.body).get("data", {}).get("attributes", {}) if reply.status == 202 and reply.body else {}
    return reply.status == 400 or job.get("failed_count") == 1


@pytest.mark.parametrize(("updates", "reported"), [(1, 100), (200, 10)])
def test_the_number_of_reported_faults_is_limited(server: ServerUnderTest, updates: int, reported: int) -> None:
    """Each takes its time to be found: 2,000 updates of 90 took 17 seconds."""
    data = [{"email": EMAIL, "subscriptions": [{}] * 300}] * updates
    tree = {"token": TOKEN, "db_id": 1, "matching": "email", "data": data}
    headers = {"content-type": "application/json"}
    request = Request("POST", "/api/v1.1/profiles/import_batch", headers, json.dumps(tree).encode())
    rows = json.loads(server.answer(request).body)["result"]
    assert [row["error_text"].count("it is missing") for row in rows] == [reported] * updates


def test_wrong_subscriptions_are_left_out_however_many_they_are(server: ServerUnderTest) -> None:
    right = {"resource_id": 1, "channel": "email", "email": EMAIL}
    tree = {"token": TOKEN, "db_id": 1, "email": EMAIL, "skip_invalid_subscriptions": True}
    headers = {"content-type": "application/json"}
    written = {**tree, "data": {"subscriptions": [*[{}] * 500, right, *[{**right, "channel": 5}] * 400]}}
    for call, body in (("import", written), ("get", tree)):
        reply = server.answer(Request("POST", f"/api/v1.1/profiles/{call}", headers, json.dumps(body).encode()))
        assert reply.status == 200, reply
    assert [each["email"] for each in json.loads(reply.body)["data"]["subscriptions"]] == [EMAIL]


@pytest.mark.parametrize("call", ["update", "import", "update_batch"])
def test_a_refusal_keeps_nothing_of_its_request(server: ServerUnderTest, call: str) -> None:
    """Not even until the garbage collector comes by: that counts objects, and a large request is few of them."""
    data: dict[str, Any] = {"update": {}, "import": {"_sex": "x"}, "update_batch": [{"a": 1}]}
    tree = {"token": TOKEN, "db_id": 1, "matching": "phone", "phone": "+79511059000", "data": data[call]}
    body, headers = json.dumps(tree).encode(), {"content-type": "application/json"}
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        server.answer(Request("POST", f"/api/v1.1/profiles/{call}", headers, body))
        gc.collect()
        held = [one for one in gc.garbage if isinstance(one, FrameType) and "/gateway/" in one.f_code.co_filename]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not held


# --- corpora ---


def rows(corpus: str) -> list[dict[str, Any]]:
    file = CORPORA / f"{corpus}.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is absent")
    return [json.loads(line) for line in file.read_text().split("\n") if line]


def test_every_json_body_has_the_expected_response(server: ServerUnderTest) -> None:
    """As the value of an own field: where the corpus accepts it, it is stored."""
    for row in rows("json_bodies"):
        bodies = (b64decode(row["b64"]), b'{"profile":{"own":%s}}' % b64decode(row["b64"]))
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        bare, inside = (server.answer(Request("POST", "/profiles/corpora", headers, body)) for body in bodies)
        assert bare.status == 400, row["id"]
        expected = VERDICTS["json_bodies"].get(row["id"], {}).get("verdict", row["expect"])
        assert inside.status == (200 if expected == "accept" else 400), (row["id"], inside)


@pytest.mark.parametrize("corpus", ["xml_bodies", "xml_attacks"])
def test_every_xml_body_is_refused(server: ServerUnderTest, corpus: str) -> None:
    """None has our root; wrapped into it, none may do harm either."""
    for row in rows(corpus):
        body = b64decode(row["b64"])
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/xml"}
        assert server.answer(Request("POST", "/profiles/corpora", headers, body)).status in (400, 415), row["id"]
        server.answer(Request("POST", "/profiles/corpora", headers, b"<xml><profile>%s</profile></xml>" % body))


def test_every_raw_request_has_the_expected_response(server: ServerUnderTest) -> None:
    """What is refused is so on the wire, in plain text; what is not gets 404, for none is a call."""
    for row in rows("http_raw"):
        expected = VERDICTS["http_raw"].get(row["id"], {}).get("verdict", row["expect"])
        received = server.raw(b64decode(row["b64"]))
        if expected != "either":
            assert (b"content-type: text/plain" in received) == (expected == "reject"), (row["id"], received)


def test_raw_bytes_never_break_the_server(server: ServerUnderTest) -> None:
    before = server.version
    for corpus in ("http_raw", "json_bodies", "xml_bodies", "xml_attacks"):
        for row in rows(corpus):
            received = server.raw(b64decode(row["b64"]))
            assert not received or received.startswith(b"HTTP/1."), (row["id"], received)
            # 501 says of CONNECT that this is no proxy (RFC 9110, 9.3.6), 505 of a version that it is not spoken.
            assert not received[9:].startswith(b"5") or received[9:12] in (b"501", b"505"), (row["id"], received)
    assert server.version == before


@pytest.mark.parametrize("corpus", ["json_bodies", "xml_bodies", "xml_attacks"])
def test_a_body_in_chunks_has_the_response_of_the_whole(server: ServerUnderTest, corpus: str) -> None:
    """Chunk by chunk over a raw socket, each with an extension, and a trailer behind them."""
    media_type = "application/json" if corpus == "json_bodies" else "application/xml"
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": media_type}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    start = b"POST /profiles/corpora HTTP/1.1\r\nhost: gateway\r\n%stransfer-encoding: chunked\r\n\r\n" % head
    for row in rows(corpus):
        body = b64decode(row["b64"])
        whole = server.answer(Request("POST", "/profiles/corpora", headers, body))
        received = server.raw(start + b"".join(chunks(body)) + b"0\r\naccept: text/html\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 %d " % whole.status), (row["id"], whole, received)
        assert received.endswith(b"\r\n\r\n" + whole.body), (row["id"], whole, received)


def chunks(body: bytes) -> Iterator[bytes]:
    """The body in chunks of growing size."""
    start, size = 0, 1
    while piece := body[start : start + size]:
        yield b"%x;piece=%d\r\n%b\r\n" % (len(piece), start, piece)
        start, size = start + size, size * 2


@pytest.mark.parametrize("codec", media.CODECS, ids=lambda codec: codec.name)
def test_every_accept_chooses_the_reply(server: ServerUnderTest, codec: Any) -> None:
    """`test_media_corpora.py` tests the choice; this test, that the server makes it over a socket."""
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": codec.media_type}
    for accept in accepts():
        request = Request("POST", "/api/v1.1/databases/list", {**headers, "accept": accept}, codec.encode({}))
        reply = server.exchanged(request)
        assert (reply.status, reply.media_type) == (200, chosen(accept, codec)), (accept, reply)


def accepts() -> Iterator[str]:
    """Every Accept of the corpus, and every media type as one."""
    for row in rows("media_types"):
        case = row.get("case", [row.get("accept")])
        accept = case[0][1] if isinstance(case[0], list) else case[0]
        if accept is not None:
            yield accept


def chosen(accept: str, codec: Any) -> str:
    return media.reply_codec(None, accept, codec).media_type


def test_every_content_type_is_read_or_refused(server: ServerUnderTest) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "accept": "application/json"}
    for content_type in accepts():
        name = content_type.partition(";")[0].strip().lower()
        reads = [codec for codec in media.CODECS if codec.accepts(name) and "," not in content_type]
        body = reads[0].encode({}) if reads else b"{}"
        sent = Request("POST", "/api/v1.1/databases/list", {**headers, "content-type": content_type}, body)
        assert server.answer(sent).status == (200 if reads else 415), content_type


def test_every_patch_is_applied_or_refused(server: ServerUnderTest) -> None:
    """The corpus's document stands in the place of an own field, and so do its pointers."""
    for row in rows("patches"):
        case = row["case"]
        if "patch" not in case or row["id"] in VERDICTS["patches"]:
            continue
        assert courier(server, "PUT", {"profile": {"custom": {"own": case["doc"]}}}).status == 200
        reply = courier(server, "PATCH", {"patch": [moved_in(each) for each in case["patch"]]})
        assert (reply.status >= 400) == ("error" in case), (row, reply)
        expected = case["doc"] if "error" in case else case.get("expected", case["doc"])
        found = json.loads(courier(server, "GET", None).body)["profile"].get("custom", {}).get("own")
        assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True), row


def courier(server: ServerUnderTest, method: str, tree: Any) -> Reply:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    body = b"" if tree is None else json.dumps(tree).encode()
    return server.answer(Request(method, "/profiles/patched", headers, body))


def moved_in(operation: Any) -> Any:
    """An operation whose pointers begin at the own field; what is no pointer stays none."""
    if not isinstance(operation, dict):
        return operation
    places = {name: operation[name] for name in ("path", "from") if isinstance(operation.get(name), str)}
    led = {name: f"/custom/own{place}" for name, place in places.items() if place[:1] in ("", "/")}
    return {**operation, **led}


# --- mutants ---


def test_mutants_of_the_corpora_leave_no_trace_where_refused(server: ServerUnderTest) -> None:
    rows("json_bodies")
    accepted = sum(server.answer(mutant).status < 400 for mutant in islice(mutants(SEED), EXAMPLES))
    assert 0 < accepted < EXAMPLES


# --- rights ---


@pytest.fixture
def guarded(host: ServerThread, tmp_path: Path) -> Iterator[ServerUnderTest]:
    """A database in which every call of every dialect finds what it asks for."""
    of_resource = [{"resource_id": 1, **each} for each in (DEVICE.subscription, {"channel": "email", "email": EMAIL})]
    subscriptions = [DEVICE.subscription, *of_resource]
    document = {"email": EMAIL, "external_id": CANARY, "given_name": STORED, "subscriptions": subscriptions}
    document |= {"relations": {"e" * 24: {"7": {"n": 1}, "8": {}}}}
    profiles = [{"id": ID, "document": document}, {"id": "e" * 24, "document": {"given_name": STORED}}]
    members = {"created": NOW, "total": 1, "failed": 0, "profiles": [ID], "failures": []}
    jobs = [{"id": id, "kind": kind, **members} for kind, id in JOBS.items()]
    (tmp_path / "before.json").write_text(json.dumps(profiles))
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    resources = [{"id": 1, "name": "app", "token": RESOURCE_TOKEN}]
    database = {"resources": resources, "segments": [{"id": 7, "name": "seven"}]}
    with opened(host, tmp_path, Case(tmp_path, "json", {"database": database})) as server:
        yield server


ABSENT = ("/api/events/", "/api/metrics/", "/api/segments/")
"""The beginnings of paths to what the gateway does not keep."""


def calls() -> list[tuple[str, Any]]:
    """Every call of every dialect, those that remove behind all others."""
    found = [(dialect.name, call) for dialect in load_dialects({}) for call in dialect.calls]
    return sorted(found, key=lambda row: (row[1].operation in (MERGE, REMOVE), row[1].operation))


@pytest.mark.parametrize("codec", media.CODECS, ids=lambda codec: codec.name)
def test_every_call_accepts_the_right_credential(guarded: ServerUnderTest, codec: Any) -> None:
    """Or else it would prove nothing that the crossed ones do not: what a call asks for is there."""
    for name, call in calls():
        given = made(name, call, right_secret(name, call), 1, codec, "body")
        reply = guarded.answer(given.request)
        assert given.may
        gone = (404,) if call.operation in (MERGE, REMOVE) or call.path.startswith(ABSENT) else ()
        assert reply.status < 300 or reply.status in (409, *gone), (call.path, reply)


def test_no_request_with_a_crossed_credential_is_accepted(guarded: ServerUnderTest) -> None:
    before = guarded.rows(1)
    for given in islice(crossed(SEED), EXAMPLES):
        if not (given.may and given.database == 1):
            assert_kept_out(guarded, given)
    assert guarded.rows(1) == before


def assert_kept_out(server: ServerUnderTest, given: Crossed) -> None:
    reply = server.answer(given.request)
    assert STORED.encode() not in reply.body, (given, reply)
    if not given.may:
        assert reply.status in (400, 401, 403, 404), (given, reply)


STORED_AS: tuple[Any, ...] = (None, "silver", 7, 7.5, True, [], ["gold"], [{"a": 1}], {"a": 1})
FULL = ["x" * (MAX_DOCUMENT_BYTES - 1_000)]
"""What a property may hold, and what leaves hardly any place in a profile."""


def test_a_public_company_id_reveals_nothing_of_what_is_stored(host: ServerThread, tmp_path: Path) -> None:
    """Not even by what is refused: whatever stands there, the answer is the same to the byte."""
    answers: dict[int, set[tuple[int, bytes]]] = {}
    for number, held in enumerate((*STORED_AS, FULL)):
        folder = tmp_path / str(number)
        folder.mkdir()
        document = {"email": EMAIL, "custom": {"plan": held} if held is not None else {}}
        (folder / "before.json").write_text(json.dumps([{"id": ID, "document": document}] if number else []))
        with opened(host, folder, Case(folder, "json", {})) as server:
            for index, request in enumerate(probes()):
                reply = server.exchanged(request)
                answers.setdefault(index, set()).add((reply.status, reply.body))
    assert all(answer == {(202, b"")} for answer in answers.values()), answers


def probes() -> Iterator[Request]:
    """What might be asked of a property, or of an id, by who holds a company id alone."""
    patches: list[dict[str, Any]] = [{action: {"plan": ["new"] * 3_000}} for action in ("append", "unappend")]
    for meta in ({}, *({"patch_properties": patch} for patch in [*patches, {"unset": "plan"}])):
        yield probe({"id": ID, "attributes": {"title": "Dr"}, "meta": meta})
        yield probe({"attributes": {"email": EMAIL, "properties": {"more": "x" * 50_000}}, "meta": meta})


def probe(profile: dict[str, Any]) -> Request:
    headers = {"content-type": "application/json", "revision": "2025-10-15"}
    body = json.dumps({"data": {"type": "profile", **profile}}).encode()
    return Request("POST", "/client/profiles?company_id=demo", headers, body)


def test_a_public_company_id_cannot_use_an_idempotency_key_of_others(server: ServerUnderTest) -> None:
    given = probe({"attributes": {"email": EMAIL}})
    keyed = {**given.headers, "idempotency-key": "a"}
    assert server.answer(Request("POST", given.path, keyed, given.body)).status == 202
    secret = {**keyed, "authorization": f"Klaviyo-API-Key {TOKEN}"}
    assert server.answer(Request("POST", "/api/profile-import", secret, given.body)).status == 200
    other = probe({"attributes": {"email": "other@example.com"}})
    assert server.answer(Request("POST", other.path, keyed, other.body)).status == 409


@pytest.mark.parametrize(
    ("key", "status"), [("", 400), ("\xe9", 400), ("a\tb", 400), ("x" * 256, 400), ("x" * 255, 200)]
)
def test_an_idempotency_key_is_visible_and_short(server: ServerUnderTest, key: str, status: int) -> None:
    body = json.dumps({"token": TOKEN, "db_id": 1, "email": EMAIL, "data": {"plan": "gold"}}).encode()
    headers = {"content-type": "application/json", "idempotency-key": key}
    reply = server.answer(Request("POST", "/api/v1.1/profiles/import", headers, body))
    assert reply.status == status
    assert status == 200 or "Idempotency-Key" in reply.body.decode()


def test_an_unknown_token_reveals_nothing_of_databases(guarded: ServerUnderTest) -> None:
    """Neither a stranger nor the token of another database learns whether a database exists."""
    by_token: dict[str, set[bytes]] = {}
    for secret in ("unknown", "of-database-2"):
        for database in (1, 999):
            tree = {"token": secret, "db_id": database, "email": EMAIL}
            headers = {"content-type": "application/json"}
            request = Request("POST", "/api/v1.1/profiles/get", headers, json.dumps(tree).encode())
            by_token.setdefault(secret, set()).add(guarded.answer(request).body.replace(b"999", b"1"))
    assert all(len(answers) == 1 for answers in by_token.values()), by_token
