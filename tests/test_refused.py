"""Refused requests: which are kept, without their tokens; mended and replayed, they leave what was never refused."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct, structs

from gateway.core.model import Origin
from gateway.core.refused_requests import RefusedFilter, RefusedRequest
from gateway.dialects import load_dialects
from gateway.server.app import create
from gateway.service import refused_recorder
from gateway.service.bootstrap import bootstrap, token
from gateway.service.catalog import Catalog
from gateway.service.erasures import erase_person
from gateway.service.mending import BodyChange, InvalidMend
from gateway.service.pipeline import Pipeline
from gateway.service.plans import Plans, bounds_of
from gateway.service.pseudonyms import open_pseudonyms
from gateway.service.replays import NotReplayable, Replay, Replays, faults_in_body
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store
from tests.stores import postgresql

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-refused-requests"
BEARER = {"authorization": f"Bearer {TOKEN}"}
KLAVIYO = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2026-07-15"}
JSON, XML = {"content-type": "application/json"}, {"content-type": "application/xml"}
ALL = RefusedFilter()
ALTCRAFT = "/api/v1.1/profiles"
DAY = 24 * 60 * 60 * 1000


class Gateway(Struct):
    """A gateway in this process: a client of it, its store, and what replays its refused requests."""

    client: httpx.AsyncClient
    store: Store
    replays: Replays
    pipeline: Callable[[], Pipeline]
    settings: Settings

    async def kept(self, count: int = 1) -> list[RefusedRequest]:
        """Return the kept requests, at the latest after a second."""
        for _ in range(20):
            found = await self.store.refused(1, ALL, None, 100)
            if len(found) >= count:
                break
            await asyncio.sleep(0.05)
        return await self.store.refused(1, ALL, None, 100)

    async def one(self) -> RefusedRequest:
        [found] = await self.kept()
        return found

    async def replay(self, request: RefusedRequest, **changes: str | None) -> Replay:
        pointers = (BodyChange("/" + name.replace("__", "/"), value) for name, value in changes.items())
        return await self.replays.run(self.pipeline(), request, list(pointers))

    async def documents(self) -> list[Any]:
        """Return every profile but for its id, its times and what is random."""
        async with self.store.snapshot() as snapshot:
            return [(each.document, each.version) async for each in snapshot.profiles(1)]

    async def erase(self, mail: str) -> None:
        [database] = await self.store.databases()
        pseudonym = await open_pseudonyms(self.store, self.settings.secret_file)
        origin = Origin("t", "", now())
        await erase_person(self.store, database, (("email", mail),), origin, pseudonym, "all")


def now() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def gateway(folder: Path, **settings: Any) -> AsyncIterator[Gateway]:
    folder.mkdir(exist_ok=True)
    given = {"keep_refused_days": 3, "access_log": False, "bootstrap_token": TOKEN, **settings}
    options = Settings(**{"store": f"sqlite:///{folder}/profiles.db", **given})
    store = await open_store(options.store, create=True)
    await bootstrap(store, options, 1)

    async def opened(_url: str) -> Store:
        return store

    application = create(options, open_store=opened)
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application)
        dialects = load_dialects(options.as_dict())
        catalog, plans = Catalog(store, dialects), Plans(bounds_of(options), options.max_batch)
        endpoint = application.router.default
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield Gateway(
                client,
                store,
                Replays(store, catalog, dialects, plans, 3 * DAY, now),
                lambda: endpoint._context.pipeline,  # type: ignore[attr-defined]
                options,
            )


def altcraft(**data: Any) -> dict[str, Any]:
    match = {"token": TOKEN, "db_id": 1, "matching": "email", "email": "ann@example.com"}
    return {**match, "data": {"email": "ann@example.com", **data}}


async def refuse(given: Gateway, **data: Any) -> httpx.Response:
    return await given.client.post(f"{ALTCRAFT}/import", json=altcraft(_bdate="never", **data))


# --- which are kept ---


async def test_a_refused_update_is_kept_with_its_faults_and_without_its_token(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        headers = {"x-request-id": "request-7", "accept": "application/json", "cookie": "a=b"}
        body = json.dumps(altcraft(_bdate="never", n=1.50), indent=1)
        response = await given.client.post(f"{ALTCRAFT}/import", content=body, headers={**JSON, **headers})
        assert response.status_code == 400
        found = await given.one()
        assert (found.dialect, found.call, found.target) == (
            "altcraft",
            f"POST {ALTCRAFT}/import",
            f"{ALTCRAFT}/import",
        )
        assert (found.request, found.database) == ("request-7", 1)
        assert found.body.decode() == body.replace(TOKEN, "")  # it keeps its form
        assert found.headers == {**JSON, "accept": "application/json"}
        assert TOKEN not in repr(found)
        [fault] = faults_in_body(found, load_dialects({}))
        assert (fault.code, fault.pointer) == ("invalid_field", "/data/_bdate")
        assert await given.store.occurrences([TOKEN]) == {}


BAD_PROFILE = {"profile": {"birthdate": 7}}
BAD_ATTRIBUTES = {"data": {"type": "profile", "attributes": {"email": "no address"}}}

KEPT: Mapping[str, tuple[str, str, dict[str, Any], str]] = {
    "Altcraft's form": (
        "POST",
        "/api/integrations/any/profile_import",
        {"data": {"token": TOKEN, "db_id": "1", "email": "no address"}},
        "/data/email",
    ),
    "Courier's": ("POST", "/profiles/cora", {"json": BAD_PROFILE, "headers": BEARER}, "/profile/birthdate"),
    "Klaviyo's": (
        "POST",
        "/api/profile-import",
        {"json": BAD_ATTRIBUTES, "headers": KLAVIYO},
        "/data/attributes/email",
    ),
    "malformed JSON": (
        "POST",
        f"{ALTCRAFT}/import",
        {"content": b'{"token": "x', "headers": {**JSON, **BEARER}},
        "",
    ),
    "no text": ("POST", "/profiles/cora", {"content": b"\xff\xfe\x00<", "headers": {**XML, **BEARER}}, ""),
    "no media type": ("POST", "/profiles/cora", {"content": b"{}", "headers": BEARER}, ""),
    "an absent profile": ("POST", f"{ALTCRAFT}/update", {"json": altcraft()}, ""),
    "a removal": ("POST", f"{ALTCRAFT}/delete", {"json": {**altcraft(), "matching": "what"}}, "/matching"),
}


@pytest.mark.parametrize("name", KEPT)
async def test_what_a_valid_token_sent_is_kept(name: str, tmp_path: Path) -> None:
    method, path, request, pointer = KEPT[name]
    async with gateway(tmp_path) as given:
        assert (await given.client.request(method, path, **request)).status_code >= 400
        found = await given.one()
        assert faults_in_body(found, load_dialects({}))[0].pointer == pointer
        assert TOKEN not in repr(found)
        assert await given.store.occurrences([TOKEN]) == {}


UNKEPT: Mapping[str, tuple[str, str, dict[str, Any], int]] = {
    "no token": ("POST", "/profiles/cora", {"json": BAD_PROFILE}, 401),
    "a wrong token": ("POST", f"{ALTCRAFT}/import", {"json": {**altcraft(), "token": "other"}}, 403),
    "no right": (
        "POST",
        "/profiles/cora",
        {"json": BAD_PROFILE, "headers": {"authorization": "Bearer reads-only"}},
        403,
    ),
    "a malformed body of a wrong token": (
        "POST",
        f"{ALTCRAFT}/import",
        {"content": b"{", "headers": {**JSON, "authorization": "Bearer other"}},
        400,
    ),
    "a malformed body that alone has the token": (
        "POST",
        f"{ALTCRAFT}/import",
        {"content": f'{{"token": "{TOKEN}"', "headers": JSON},
        400,
    ),
    "a public company id": (
        "POST",
        "/client/profiles?company_id=demo",
        {"json": BAD_ATTRIBUTES, "headers": {"revision": "2026-07-15"}},
        400,
    ),
    "a search": ("POST", f"{ALTCRAFT}/get", {"json": {**altcraft(), "matching": "what"}}, 400),
    "a dry run": ("POST", f"{ALTCRAFT}/import?dry_run=maybe", {"json": altcraft()}, 400),
    "an unknown call": ("POST", "/profiles/cora/what", {"json": {}, "headers": BEARER}, 404),
    "an accepted update": ("POST", f"{ALTCRAFT}/import", {"json": altcraft()}, 200),
}


@pytest.mark.parametrize("name", UNKEPT)
async def test_nothing_else_is_kept(name: str, tmp_path: Path) -> None:
    method, path, request, status = UNKEPT[name]
    async with gateway(tmp_path) as given:
        await given.store.add_token(token("reads-only", 1, frozenset({"read"}), 1))
        assert (await given.client.request(method, path, **request)).status_code == status
        await refuse(given)
        assert [each.call for each in await given.kept()] == [f"POST {ALTCRAFT}/import"]


async def test_a_rate_limit_and_an_outage_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(tmp_path, token_rate="2/hour") as given:

        async def fail(*_: Any) -> Any:
            raise Unavailable("the disk is gone")

        with monkeypatch.context() as broken:
            broken.setattr(given.store, "change", fail)
            assert (await given.client.post(f"{ALTCRAFT}/import", json=altcraft())).status_code == 503
        assert (await refuse(given)).status_code == 400
        assert (await refuse(given)).status_code == 429
        await asyncio.sleep(0.5)
        assert len(await given.kept()) == 1


async def test_refused_requests_beyond_the_queue_are_counted_and_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(refused_recorder, "MAX_QUEUED_BYTES", 9_000)
    async with gateway(tmp_path) as given:
        for _ in range(5):
            assert (await refuse(given)).status_code == 400
        await asyncio.sleep(0.5)
        kept = len(await given.kept())
        assert 1 <= kept < 5
        assert caplog.messages[-1] == f"{5 - kept} refused requests were not kept"
        await refuse(given)
        assert len(await given.kept(kept + 1)) == kept + 1


async def test_an_outage_of_the_store_loses_refused_requests_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> None:
        raise Unavailable("the disk is gone")

    async with gateway(tmp_path) as given:
        with monkeypatch.context() as broken:
            broken.setattr(given.store, "keep_refused", fail)
            await refuse(given)
            await asyncio.sleep(0.4)
        assert caplog.messages == ["1 refused requests were not kept"]
        await refuse(given)
        assert len(await given.kept()) == 1


async def test_without_the_setting_there_is_no_trace(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await refuse(given)
        await given.one()
    async with gateway(tmp_path, keep_refused_days=0) as given:
        await refuse(given)
        await asyncio.sleep(0.4)
        assert await given.store.refused(1, ALL, None, 9) == []  # nor do those stay that were kept before
        assert await given.store.occurrences(["ann@example.com"]) == {}


async def test_it_needs_the_key_of_its_hashes(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="GATEWAY_SECRET_FILE"):
        async with gateway(tmp_path, store="memory:"):
            pass


def test_a_kill_loses_nothing_but_the_last_refused_requests(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/profiles.db"
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--store", url]
    environment = {**os.environ, "GATEWAY_BOOTSTRAP_TOKEN": TOKEN, "GATEWAY_KEEP_REFUSED_DAYS": "3"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    address = next(found[1] for line in process.stderr if (found := re.search(r"running on (http://\S+)", line)))
    count = 150
    with process, httpx.Client(base_url=address) as client:
        for number in range(count):
            mail = f"p{number}@example.com"
            body = {**altcraft(), "email": mail, "data": {"email": mail}}
            assert client.post(f"{ALTCRAFT}/import", json=body).status_code == 200
            wrong = {**body, "data": {"_bdate": "never"}}
            assert client.post(f"{ALTCRAFT}/import", json=wrong).status_code == 400
        process.kill()
    profiles, refused = asyncio.run(_content(url))
    assert profiles == count
    assert refused == sorted(refused)
    assert 0 < len(refused) <= count  # those of the last moments may be lost


async def _content(url: str) -> tuple[int, list[int]]:
    """Return the number of profiles, and the times of the refused requests in their order."""
    store = await open_store(url)
    async with store.snapshot() as snapshot:
        profiles = [each async for each in snapshot.profiles(1)]
    times = [each.time for each in reversed(await store.refused(1, ALL, None, 1_000))]
    await store.close()
    return len(profiles), times


# --- mend and replay ---


class Mend(Struct, frozen=True):
    """A request that is refused, the change that mends it, and the request as it should have been."""

    path: str
    wrong: bytes
    changes: Mapping[str, str | None]
    right: bytes
    headers: Mapping[str, str]


def json_bytes(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def altcraft_xml(data: str) -> bytes:
    match = f"<token>{TOKEN}</token><db_id>1</db_id><matching>email</matching><email>ann@example.com</email>"
    schema = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    return f"<xml {schema}>{match}<data>{data}</data></xml>".encode()


REST = (
    '<_fname xsi:nil="true"/><a xsi:type="xs:int">5</a><b array="true">x</b><_lname> L </_lname>'
    "<email>ann@example.com</email>"
)

MUTATION = 'mutation { updatePreferenceV2(templateId: "news", preferences: {status: %s}) { status } }'

MENDS: Mapping[str, Mend] = {
    "Altcraft in JSON": Mend(
        f"{ALTCRAFT}/import",
        json_bytes(altcraft(_bdate="never", n=[1, None, "x"])),
        {"data___bdate": "2000-01-31"},
        json_bytes(altcraft(_bdate="2000-01-31", n=[1, None, "x"])),
        JSON,
    ),
    "Altcraft in XML": Mend(
        f"{ALTCRAFT}/import",
        altcraft_xml(f"<_bdate>never</_bdate>{REST}"),
        {"data___bdate": "2000-01-31"},
        altcraft_xml(f"<_bdate>2000-01-31</_bdate>{REST}"),
        XML,
    ),
    "a number that no float keeps": Mend(
        f"{ALTCRAFT}/import",
        json_bytes(altcraft()).replace(b'"data": {', b'"data": {"n": 12345678901234567890123, '),
        {"data__n": "5"},
        json_bytes(altcraft(n=5)),
        JSON,
    ),
    "a member too many": Mend(
        f"{ALTCRAFT}/import",
        json_bytes(altcraft(subscriptions=[{"channel": "what"}])),
        {"data__subscriptions__0": None},
        json_bytes(altcraft(subscriptions=[])),
        JSON,
    ),
    "Courier": Mend(
        "/profiles/cora",
        json_bytes({"profile": {"email": "c@example.com", "birthdate": 7}}),
        {"profile__birthdate": '"2000-01-31"'},
        json_bytes({"profile": {"email": "c@example.com", "birthdate": "2000-01-31"}}),
        {**JSON, **BEARER},
    ),
    "Courier's GraphQL": Mend(
        "/client/q",
        json_bytes({"query": MUTATION % "OPTED_OUT", "variables": "a"}),
        {"variables": '{"a": 1}'},
        json_bytes({"query": MUTATION % "OPTED_OUT", "variables": {"a": 1}}),
        {**JSON, **BEARER, "x-courier-user-id": "cora"},
    ),
    "Klaviyo in XML": Mend(
        "/api/profile-import",
        b"<xml><data><type>profile</type><attributes><email>no</email></attributes></data></xml>",
        {"data__attributes__email": "k@example.com"},
        b"<xml><data><type>profile</type><attributes><email>k@example.com</email></attributes></data></xml>",
        {**XML, **KLAVIYO},
    ),
    "one of a list": Mend(
        f"{ALTCRAFT}/import_batch",
        json_bytes({**altcraft(), "data": "no list", "matching": "email"}),
        {"data": '[{"email": "a@example.com"}]', "data__-": '{"email": "b@example.com"}'},
        json_bytes({**altcraft(), "data": [{"email": "a@example.com"}, {"email": "b@example.com"}]}),
        JSON,
    ),
    "a form": Mend(
        "/api/integrations/any/profile_import",
        f"token={TOKEN}&db_id=1&email=no+address&_fname=A%26B".encode(),
        {"email": "f@example.com"},
        f"token={TOKEN}&db_id=1&email=f%40example.com&_fname=A%26B".encode(),
        {"content-type": "application/x-www-form-urlencoded"},
    ),
}


@pytest.mark.parametrize("name", MENDS)
async def test_mended_and_replayed_it_is_as_if_it_was_never_refused(name: str, tmp_path: Path) -> None:
    case = MENDS[name]
    async with gateway(tmp_path / "mended") as given:
        response = await given.client.post(case.path, content=case.wrong, headers=case.headers)
        assert response.status_code >= 400, response.text
        replay = await given.replay(await given.one(), **case.changes)
        assert replay.is_accepted, replay.response.body
        assert replay.response.headers["content-type"] == response.headers["content-type"]
        mended = await given.documents()
        [entry, *_] = await given.store.journal(1, 0, 9)
        [token] = await given.store.tokens()
        assert (entry.origin.token, entry.origin.request) == (token.id, (await given.one()).request)
    async with gateway(tmp_path / "right") as given:
        assert (await given.client.post(case.path, content=case.right, headers=case.headers)).status_code < 300
        right = await given.documents()
        assert sorted(map(repr, right)) == sorted(map(repr, mended))
        assert right


async def test_a_request_that_is_replayed_twice_happens_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await refuse(given, visits={"action": "incr", "value": 1})
        refused = await given.one()
        replays = [await given.replay(refused, data___bdate="2000-01-31") for _ in range(2)]  # both see it as new
        assert [each.is_accepted for each in replays] == [True, True]
        assert [document["custom"]["visits"] for document, _ in await given.documents()] == [1]
        assert len(await given.store.journal(1, 0, 9)) == 1
        again = await given.one()
        assert again.replayed
        with pytest.raises(NotReplayable, match="was replayed at 20"):
            await given.replay(again, data___bdate="2000-01-31")


async def test_a_replay_that_is_refused_stays_and_is_not_kept_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await refuse(given)
        replay = await given.replay(await given.one(), data___bdate="still wrong")
        assert (replay.is_accepted, replay.response.status) == (False, 400)
        await asyncio.sleep(0.4)
        assert not (await given.one()).replayed
        assert await given.documents() == []


async def test_errors_of_graphql_in_a_200_are_refusals_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        headers = {**BEARER, "x-courier-user-id": "cora"}
        response = await given.client.post("/client/q", json={"query": MUTATION % "REQUIRED"}, headers=headers)
        assert response.status_code == 200
        kept = await given.one()
        assert [(fault.code, fault.pointer) for fault in kept.faults] == [("invalid_query", "/preferences/status")]
        assert not (await given.replay(kept)).is_accepted
        assert not (await given.one()).replayed
        assert (await given.replay(kept, query=MUTATION % "OPTED_OUT")).is_accepted
        [(document, _)] = await given.documents()
        assert document["courier_users"]["topics"] == {"news": {"status": "OPTED_OUT"}}


async def test_a_replay_after_the_token_was_revoked_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await refuse(given)
        refused = await given.one()
        await given.store.revoke_token(refused.token)
        with pytest.raises(NotReplayable, match="revoked"):
            await given.replay(refused, data___bdate="2000-01-31")


async def test_the_clients_own_key_and_right_hold_in_a_replay(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        key = {"idempotency-key": "own"}
        await given.client.post(f"{ALTCRAFT}/import", json=altcraft(_bdate="never"), headers=key)
        right = altcraft(_bdate="2000-01-31")
        assert (await given.client.post(f"{ALTCRAFT}/import", json=right, headers=key)).status_code == 200
        assert (await given.replay(await given.one(), data___bdate="2000-01-31")).is_accepted
        assert len(await given.store.journal(1, 0, 9)) == 1


async def test_a_field_that_was_declared_since_needs_no_change(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await given.client.post(f"{ALTCRAFT}/import", json={**altcraft(), "matching": "custom", "field_name": "card"})
        [database] = await given.store.databases()
        refused = await given.one()
        with pytest.raises(InvalidMend, match="/data/x/y: the body has no x"):
            await given.replay(refused, data__x__y="1")
        assert not (await given.replay(refused)).is_accepted
        fields = {"type": "object", "properties": {"card": {"type": "string", "x-identifier": True}}}
        await given.store.update_database(replace(database, fields=fields))
        assert (await given.replay(refused, field_value='"7"', data__card='"7"')).is_accepted


BAD_CHANGES = {
    "no slash": (BodyChange("data", "1"), "begins with a slash"),
    "no such element": (BodyChange("/data/list/7", "1"), "the list has 2 elements"),
    "below a text": (BodyChange("/email/x", "1"), "neither an object nor a list"),
    "absent": (BodyChange("/data/absent", None), "the body has no absent"),
}


@pytest.mark.parametrize("name", BAD_CHANGES)
async def test_a_change_that_cannot_be_made_prints_the_reason(name: str, tmp_path: Path) -> None:
    change, reason = BAD_CHANGES[name]
    async with gateway(tmp_path) as given:
        await refuse(given, list=[1, 2])
        with pytest.raises(InvalidMend, match=reason):
            await given.replays.run(given.pipeline(), await given.one(), [change])
        assert await given.documents() == []


async def test_a_body_that_cannot_be_decoded_is_replaced_as_a_whole(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await given.client.post("/profiles/cora", content=b"\xff{", headers={**JSON, **BEARER})
        refused = await given.one()
        assert refused.body == b"\xff{"
        with pytest.raises(InvalidMend, match="replace the whole body"):
            await given.replay(refused, profile="{}")
        assert (
            await given.replay(structs.replace(refused, body=b'{"profile": {"email": "c@example.com"}}'))
        ).is_accepted


# --- erasure ---


async def test_an_erasure_finds_the_requests_of_the_person(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await refuse(given)
        await given.client.post("/profiles/ann@example.com", json=BAD_PROFILE, headers=BEARER)
        await given.client.post("/profiles/ANN@example.com", json=BAD_PROFILE, headers=BEARER)
        await given.client.post("/profiles/cora", content=b"Ann@Example.com", headers={**JSON, **BEARER})
        await given.client.post("/profiles/bob", json=BAD_PROFILE, headers=BEARER)
        assert len(await given.kept(5)) == 5
        await given.erase("ann@example.com")
        assert [each.target for each in await given.kept()] == ["/profiles/bob"]
        assert await given.store.occurrences(["ann@example.com", "ANN@example.com", "Ann@Example.com"]) == {}


async def test_it_is_the_same_on_several_machines(tmp_path: Path) -> None:
    """Another process, which may be on another machine, replays what this one refused, and erases it."""
    url, secret = postgresql.fresh(), str(tmp_path / "key")
    async with (
        gateway(tmp_path, store=url, secret_file=secret) as one,
        gateway(tmp_path, store=url, secret_file=secret) as other,
    ):
        await refuse(one)
        assert (await other.replay(await other.one(), data___bdate="2000-01-31")).is_accepted
        with pytest.raises(NotReplayable, match="was replayed"):
            await one.replay(await one.one())
        await other.client.post("/profiles/bob", json=BAD_PROFILE, headers=BEARER)
        assert len(await one.kept(2)) == 2
        await other.erase("ann@example.com")
        assert [each.target for each in await one.kept()] == ["/profiles/bob"]
        assert await one.store.occurrences(["ann@example.com", TOKEN]) == {}


async def test_a_request_about_an_erased_person_is_not_kept(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await given.erase("ann@example.com")
        await refuse(given)
        await given.client.post("/profiles/bob", json=BAD_PROFILE, headers=BEARER)
        assert [each.target for each in await given.kept()] == ["/profiles/bob"]


async def test_a_replay_brings_no_erased_person_back(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await refuse(given)
        refused = await given.one()
        await given.erase("ann@example.com")
        assert await given.store.refused(1, ALL, None, 9) == []
        replay = await given.replay(refused, data___bdate="2000-01-31")  # an operator still has it on the screen
        assert (replay.is_accepted, replay.response.fault) == (False, "profile_not_found")
        assert await given.documents() == []


SUBSCRIPTION = {"resource_id": 5, "channel": "email", "email": "ann@example.com"}
SUBSCRIBED, UNSUBSCRIBED = ({**SUBSCRIPTION, "status": word} for word in ("subscribed", "unsubscribed"))


async def _status(given: Gateway, email: str = "ann@example.com") -> Any:
    """Return the status of the subscription, and the global one, as clients see them."""
    body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": email}
    data = (await given.client.post(f"{ALTCRAFT}/get", json=body)).json()["data"]
    return [one["status"] for one in data["subscriptions"] if one.get("resource_id") == 5], data["_status"]


async def _import(given: Gateway, email: str = "ann@example.com", **data: Any) -> None:
    body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": email, "data": {"email": email, **data}}
    assert (await given.client.post(f"{ALTCRAFT}/import", json=body)).status_code == 200
    await asyncio.sleep(0.005)  # another millisecond


async def test_a_replay_lifts_no_opt_out_that_is_later(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await _import(given)
        await refuse(given, subscriptions=[SUBSCRIBED], _status=0)
        refused = await given.one()
        await _import(given, subscriptions=[UNSUBSCRIBED], _status=1)
        assert (await given.replay(refused, data___bdate="2000-01-31")).is_accepted
        assert await _status(given) == (["unsubscribed"], 1)


async def test_a_replay_lifts_no_later_opt_out_of_the_address_by_another_profile(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await _import(given)
        await refuse(given, subscriptions=[SUBSCRIBED])
        refused = await given.one()
        await _import(given, "eve@example.com", subscriptions=[UNSUBSCRIBED])
        assert (await given.replay(refused, data___bdate="2000-01-31")).is_accepted
        assert await _status(given) == (["unsubscribed"], 0)


async def test_a_replay_lifts_an_opt_out_that_was_earlier(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await _import(given, subscriptions=[UNSUBSCRIBED])
        await refuse(given, subscriptions=[SUBSCRIBED])
        assert (await given.replay(await given.one(), data___bdate="2000-01-31")).is_accepted
        assert await _status(given) == (["subscribed"], 0)


async def test_a_replayed_job_lifts_no_opt_out_that_is_later(tmp_path: Path) -> None:
    consent = {"email": {"marketing": {"consent": "SUBSCRIBED"}}}
    profiles = [
        {"type": "profile", "attributes": {"email": "ann@example.com", "subscriptions": consent}},
        {"type": "profile", "attributes": {"email": "no address", "subscriptions": consent}},
    ]
    type = "profile-subscription-bulk-create-job"
    body = {"data": {"type": type, "attributes": {"profiles": {"data": profiles}}}}
    async with gateway(tmp_path) as given:
        reply = await given.client.post(f"/api/{type}s", json=body, headers=KLAVIYO)
        assert reply.status_code == 400, reply.text
        refused = await given.one()
        await _import(given, subscriptions=[{"channel": "email", "email": "ann@example.com", "status": "complained"}])
        pointer = "/data/attributes/profiles/data/1/attributes/email"
        replay = await given.replays.run(given.pipeline(), refused, [BodyChange(pointer, "bob@example.com")])
        assert replay.is_accepted, replay.response
        found = (
            await given.client.get("/api/profiles?additional-fields[profile]=subscriptions", headers=KLAVIYO)
        ).json()
        mailable = {
            each["attributes"]["email"]: each["attributes"]["subscriptions"]["email"]["marketing"][
                "can_receive_email_marketing"
            ]
            for each in found["data"]
        }
        assert mailable == {"ann@example.com": False, "bob@example.com": True}


@pytest.mark.parametrize(
    "data",
    [
        {"ann@example.com": 1},
        {"p": {"Ann@example.com ": {"k": 1}}},
        {"p": "Ann <ann@example.com>"},
        {"p": ["mailto:ANN@example.com?subject=x"]},
        {"p": "other@example.com,ann@example.com."},
    ],
)
async def test_an_erasure_finds_an_address_in_a_name_or_a_longer_text(data: dict[str, Any], tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await _import(given)
        body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": "eve@example.com"}
        body["data"] = {"_bdate": "never", **data}
        await given.client.post(f"{ALTCRAFT}/import", json=body)
        await given.one()
        await given.erase("ann@example.com")
        assert await given.store.refused(1, ALL, None, 9) == []


async def test_the_id_of_the_database_names_no_person(tmp_path: Path) -> None:
    async with gateway(tmp_path) as given:
        await given.client.post(
            f"{ALTCRAFT}/import",
            json={
                **altcraft(customer_id="1"),
                "email": "b@example.com",
                "data": {"email": "b@example.com", "customer_id": "1"},
            },
        )
        await refuse(given)
        await given.one()
        await given.erase("b@example.com")
        await refuse(given)
        assert len(await given.kept(2)) == 2
