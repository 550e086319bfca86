"""The console without a browser: who may see what, and what an attacker gets."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

import httpx
import pytest
from msgspec.structs import replace

import gateway.console
from gateway.console.people import subscription_origins
from gateway.console.playground import curl_command
from gateway.console.recorder import KEPT_RESPONSES, RecordedResponse, TrafficRecorder
from gateway.console.sessions import LIFETIME
from gateway.console.site import PAGES
from gateway.console.traffic import CHART_BARS, bars, percentile
from gateway.core.model import JournalEntry, MemberChange, Origin
from gateway.server.app import create
from gateway.service.http_messages import Message
from gateway.settings import Settings
from gateway.stores.protocol import Store
from gateway.testkit.case import read_cases
from tests.console.sites import BLIND, CLIENT, OPERATOR, OTHER, SCRIPT, profile, seeded, settings
from tests.test_app import asked

NOW = 1_800_000_000_000
IMPORT = "/api/v1.1/profiles/import"
GET_PAGES = sorted(name for method, name in PAGES if method == "GET")
POST_PAGES = sorted(name for method, name in PAGES if method == "POST")

Converse = Callable[[httpx.AsyncClient], Awaitable[Any]]


class Site:
    """An application with a console. `now` is its clock, which stands still."""

    def __init__(self, folder: Path, current: Settings | None = None) -> None:
        self.store = seeded()
        self.now = NOW
        self._settings = current or settings(folder)

    def run(self, converse: Converse, base: str = "http://gateway") -> Any:
        async def opened(_url: str) -> Store:
            return self.store

        async def run() -> Any:
            app = create(self._settings, open_store=opened, now=lambda: self.now)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)
            async with app.router.lifespan_context(app), client:
                return await converse(client)

        return asyncio.run(run())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def sign_in(client: httpx.AsyncClient, secret: str = OPERATOR) -> httpx.Response:
    return await client.post("/console/sign-in", data={"token": secret})


async def form_token(client: httpx.AsyncClient) -> str:
    page = (await client.get("/console/people")).text
    found = re.search(r'name="form_token" value="(\w+)"', page)
    assert found
    return found[1]


async def submit(client: httpx.AsyncClient, page: str, /, **form: Any) -> httpx.Response:
    return await client.post(f"/console/{page}", data={"form_token": await form_token(client), **form})


def is_escaped(page: str) -> bool:
    """Return whether no stored value is code of a page."""
    return "<script>" not in page.replace('<script src="static/console.js" defer></script>', "") and "<img" not in page


# --- on and off ---


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/sign-in", "/console/static/console.css"])
def test_the_console_is_off_by_default(path: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(path)

    reply = asked(converse, seeded())
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/json")


def test_a_sign_in_without_a_key_is_refused() -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await sign_in(client)

    reply = asked(converse, seeded(), Settings(console=True, access_log=False))
    assert reply.status_code == 503
    assert "GATEWAY_SECRET_FILE" in reply.text
    assert "set-cookie" not in reply.headers


# --- sessions ---


@pytest.mark.parametrize("secret", ["", "no-such-token", "was-revoked", CLIENT])
def test_only_a_token_with_the_right_signs_in(site: Site, secret: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await sign_in(client, secret)

    reply = site.run(converse)
    assert reply.status_code == 403
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(("base", "secure"), [("http://gateway", False), ("https://gateway", True)])
def test_the_cookie_is_for_the_console_alone(site: Site, base: str, secure: bool) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await sign_in(client)

    reply = site.run(converse, base)
    cookie = reply.headers["set-cookie"]
    assert (reply.status_code, reply.headers["location"]) == (303, "people")
    assert all(each in cookie for each in ("; HttpOnly", "; SameSite=Strict", "; Path=/console;"))
    assert cookie.endswith("; Secure") == secure
    assert OPERATOR not in cookie


@pytest.mark.parametrize("name", GET_PAGES)
def test_a_page_without_a_session_leads_to_the_sign_in(site: Site, name: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(f"/console/{name}")

    reply = site.run(converse)
    assert (reply.status_code, reply.headers["location"], reply.content) == (303, "sign-in", b"")


def _other_signature(cookie: str) -> str:
    return cookie[:-1] + ("0" if cookie[-1] != "0" else "1")


def _later_end(cookie: str) -> str:
    id, end, *rest = cookie.split(".")
    return ".".join([id, str(int(end) + 1), *rest])


def _other_token(cookie: str) -> str:
    return ".".join(["token1", *cookie.split(".")[1:]])


@pytest.mark.parametrize(
    "forge", [_other_signature, _later_end, _other_token, lambda _: "", lambda _: "token0.x.y", lambda _: "ä" * 900]
)
def test_a_forged_session_is_none(site: Site, forge: Callable[[str], str]) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        await sign_in(client)
        cookie = forge(client.cookies["console_session"])
        client.cookies.clear()
        return await client.get("/console/people", headers={b"cookie": f"console_session={cookie}".encode()})

    assert site.run(converse).headers["location"] == "sign-in"


def test_a_session_ends(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[int]:
        await sign_in(client)
        site.now += LIFETIME - 1
        statuses = [(await client.get("/console/people")).status_code]
        site.now += 1
        return [*statuses, (await client.get("/console/people")).status_code]

    assert site.run(converse) == [200, 303]


def test_a_session_ends_with_its_token(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> int:
        await sign_in(client)
        await site.store.revoke_token("token0")
        return (await client.get("/console/people")).status_code

    assert site.run(converse) == 303


def test_a_session_that_was_signed_out_is_over(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> int:
        await sign_in(client)
        cookie = client.cookies["console_session"]
        reply = await submit(client, "sign-out")
        assert "Max-Age=0" in reply.headers["set-cookie"]
        return (await client.get("/console/people", headers={"cookie": f"console_session={cookie}"})).status_code

    assert site.run(converse) == 303


def test_a_sign_out_ends_the_session_in_every_process(site: Site, tmp_path: Path) -> None:
    async def opened(_url: str) -> Store:
        return site.store

    async def converse(first: httpx.AsyncClient) -> list[int]:
        other = create(settings(tmp_path), open_store=opened, now=lambda: site.now)
        second = httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://gateway")
        async with other.router.lifespan_context(other), second:
            await sign_in(first)
            headers = {"cookie": f"console_session={first.cookies['console_session']}"}
            statuses = [(await second.get("/console/people", headers=headers)).status_code]
            await submit(first, "sign-out")
            statuses.append((await second.get("/console/people", headers=headers)).status_code)
            await sign_in(first)
            return [*statuses, (await first.get("/console/people")).status_code]

    assert site.run(converse) == [200, 303, 200]


def test_attempts_to_sign_in_are_limited(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[int]:
        return [(await sign_in(client, "guess")).status_code for _ in range(11)]

    assert site.run(converse) == [403] * 10 + [429]


# --- forms ---


@pytest.mark.parametrize("name", [*POST_PAGES, "sign-out"])
@pytest.mark.parametrize("given", [None, "", "0" * 64])
def test_a_form_needs_its_token(site: Site, name: str, given: str | None) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        await sign_in(client)
        return await client.post(f"/console/{name}", data={"id": ""} if given is None else {"form_token": given})

    assert site.run(converse).status_code == 403


def test_a_form_of_another_session_is_refused(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> int:
        await sign_in(client)
        other = await form_token(client)
        await sign_in(client)
        form = {"form_token": other, "name": "x", "right": "read"}
        return (await client.post("/console/token-creation", data=form)).status_code

    assert site.run(converse) == 403


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://attacker.example"}])
@pytest.mark.parametrize("name", ["sign-in", "token-creation"])
def test_a_form_of_another_site_is_refused(site: Site, name: str, headers: dict[str, str]) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        await sign_in(client)
        form = {"form_token": await form_token(client), "token": OPERATOR, "right": "read"}
        return await client.post(f"/console/{name}", data=form, headers=headers)

    reply = site.run(converse)
    assert reply.status_code == 403
    assert "set-cookie" not in reply.headers


def test_a_form_of_another_type_is_refused(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> int:
        await sign_in(client)
        form = {"form_token": await form_token(client), "right": "read"}
        return (await client.post("/console/token-creation", json=form)).status_code

    assert site.run(converse) == 415


# --- what every page has ---


@pytest.mark.parametrize("name", [*GET_PAGES, "sign-in", "no-such-page", "static/console.css"])
def test_no_page_can_be_framed_or_run_foreign_code(site: Site, name: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        await sign_in(client)
        return await client.get(f"/console/{name}")

    headers = site.run(converse).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert headers["cache-control"] in ("no-store", "no-cache")


PATHS = ["static/../site.py", "static/%2e%2e/site.py", "static/..%2fsite.py", "static/%2Fetc%2Fpasswd", "a/../../x"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_another_file(site: Site, path: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        raw = httpx.URL("http://gateway").copy_with(raw_path=f"/console/{path}".encode())
        return await client.get(raw)

    reply = site.run(converse)
    assert reply.status_code == 404
    assert "import" not in reply.text


def test_no_template_marks_a_value_as_safe() -> None:
    templates = sorted((Path(gateway.console.__file__).parent / "templates").glob("*.html"))
    assert templates
    for file in templates:
        assert re.findall(r"\|\s*safe|Markup|autoescape|tojson|\son\w+=|style=|javascript:", file.read_text()) == []


# --- people ---


async def add_people(client: httpx.AsyncClient) -> None:
    for name in ("Ann", SCRIPT):
        await client.post(IMPORT, json=profile("ann@example.com", name))


async def person_page(client: httpx.AsyncClient, **query: str) -> httpx.Response:
    found = await submit(client, "people", q="ann@example.com")
    id = re.search(r"person\?id=(\w+)", found.text)
    assert id
    return await client.get("/console/person", params={"id": id[1], **query})


def test_every_stored_value_is_text(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        await add_people(client)
        await sign_in(client)
        dry = {"call": f"altcraft POST {IMPORT}", "media": "json", "action": "dry", "names": f"a={SCRIPT}"}
        return [
            await submit(client, "people", q=SCRIPT),
            await person_page(client),
            await person_page(client, at="2030-01-01T00:00:00Z"),
            await person_page(client, format="xml"),
            await client.get("/console/set-up"),
            await client.get("/console/traffic"),
            await client.get("/console/person", params={"id": SCRIPT}),
            await submit(client, "playground", **dry, body='{"email": ' + f'"{SCRIPT[:8]}"' + "}"),
            await submit(client, "token-creation", name=SCRIPT, right="read"),
        ]

    pages = site.run(converse)
    for page in pages:
        assert "<script>" not in page.text.replace('<script src="static/console.js" defer></script>', "")
        assert "<img" not in page.text
    assert sum(SCRIPT in unescape(page.text) for page in pages) >= 6


def test_a_person_has_views_consent_identities_and_history(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> tuple[str, str]:
        await client.post(IMPORT, json=profile("ann@example.com", "Ann"))
        site.now += 1_000
        await client.post(IMPORT, json=profile("ann@example.com", "Anna"))
        await sign_in(client)
        first = unescape((await person_page(client)).text)
        return first, unescape((await person_page(client, at="2027-01-15T08:00:00.500Z")).text)

    page, earlier = site.run(converse)
    for text in ("Altcraft", "Courier", "Klaviyo", "email_sub@70", "create", "update", '"value": "Anna"'):
        assert text in page
    assert '"_fname": "Anna"' in page
    assert "Version 1, at" in earlier
    assert '"given_name": "Ann"' in earlier.partition("Version 1, at")[2]


def test_the_origin_of_a_subscription_is_the_write_that_changed_it() -> None:
    def subscription(email: str, status: str) -> dict[str, str]:
        return {"channel": "email", "email": email, "status": status}

    def entry(time: int, *members: MemberChange) -> JournalEntry:
        return JournalEntry(time, 1, "p", time, "update", Origin("t", "altcraft", time), members)

    ann, ben = subscription("ann@example.com", "subscribed"), subscription("ben@example.com", "subscribed")
    left = subscription("ben@example.com", "unsubscribed")
    history = [
        entry(1, MemberChange("", after={"subscriptions": [ann]})),
        entry(2, MemberChange("/subscriptions", [ann], [ann, ben]), MemberChange("/email", after="x@example.com")),
        entry(3, MemberChange("/subscriptions", [ann, ben], [ann, left])),
        entry(4, MemberChange("/subscriptions", [ann, left])),
    ]
    times = {address[2][1]: origin.time for address, origin in subscription_origins(history).items()}
    assert times == {"ann@example.com": 1, "ben@example.com": 3}


@pytest.mark.parametrize("query", [{}, {"format": "xml"}, {"at": "2030-01-01T00:00:00Z"}])
def test_values_are_masked_without_the_right_to_read(site: Site, query: dict[str, str]) -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        await client.post(IMPORT, json=profile("ann@example.com", "Zebedee"))
        await sign_in(client, BLIND)
        found = await client.get("/console/people")
        id = re.search(r"person\?id=(\w+)", found.text)
        assert id
        return [found, await client.get("/console/person", params={"id": id[1], **query})]

    for page in site.run(converse):
        assert page.status_code == 200
        assert "Zebedee" not in page.text
        assert "example.com" not in page.text
    assert "given_name" in page.text


def test_an_erasure_shows_what_it_removes_before_it_happens(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await add_people(client)
        await sign_in(client)
        person = await person_page(client)
        id = str(person.url.params["id"])
        before = await client.get("/console/erasure", params={"id": id})
        found = len(await site.store.find(1, [("id", id)]))
        erased = await submit(client, "erasure", id=id)
        after = len(await site.store.find(1, [("id", id)]))
        journal = str(await site.store.journal(1, 0, 100))
        history = (await client.get("/console/person", params={"id": id})).text
        return [person.text, before.text, found, erased.status_code, after, "ann@example.com" in journal, history]

    person, before, found, status, after, is_in_journal, history = site.run(converse)
    assert 'Forward</h3><pre tabindex="0">The values are not stored.' in history
    assert 'href="erasure?id=' in person
    assert "email: ann@example.com" in before
    assert (found, status, after, is_in_journal) == (1, 303, 0, False)


@pytest.mark.parametrize(("secret", "status"), [(BLIND, 403), (OTHER, 404)])
def test_an_erasure_needs_the_right_and_the_database(site: Site, secret: str, status: int) -> None:
    async def converse(client: httpx.AsyncClient) -> list[int]:
        await add_people(client)
        await sign_in(client)
        id = str((await person_page(client)).url.params["id"])
        await sign_in(client, secret)
        replies = [await client.get("/console/erasure", params={"id": id}), await submit(client, "erasure", id=id)]
        return [*(each.status_code for each in replies), len(await site.store.find(1, [("id", id)]))]

    assert site.run(converse) == [status, status, 1]


@pytest.mark.parametrize("at", ["yesterday", "9" * 30, "2026-02-30"])
def test_a_wrong_time_is_refused(site: Site, at: str) -> None:
    async def converse(client: httpx.AsyncClient) -> int:
        await add_people(client)
        await sign_in(client)
        return (await person_page(client, at=at)).status_code

    assert site.run(converse) == 400


def test_another_database_stays_out_of_reach(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        await add_people(client)
        await sign_in(client)
        id = str((await person_page(client)).url.params["id"])
        await sign_in(client, OTHER)
        revoked = await submit(client, "token-revocation", id="token0")
        asked = {"call": "altcraft POST /api/v1.1/profiles/get", "media": "json", "action": "dry"}
        return [
            await submit(client, "people", q="ann@example.com"),
            await client.get("/console/person", params={"id": id}),
            await submit(client, "playground", **asked, body='{"db_id": 1, "email": "ann@example.com"}'),
            revoked,
            await client.get("/console/set-up"),
        ]

    people, person, played, revoked, setup = site.run(converse)
    assert "person?id=" not in people.text
    assert (person.status_code, revoked.status_code) == (404, 404)
    assert "unknown_database" in played.text or "there is no database 1" in played.text
    assert "token0" not in setup.text


# --- playground ---


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("json", '{"db_id": 1, "email": "ann@example.com", "data": {"_lname": "Berg"}}'),
        ("xml", "<xml><db_id>1</db_id><email>ann@example.com</email><data><_lname>Berg</_lname></data></xml>"),
    ],
)
def test_a_request_changes_nothing_before_it_is_sent(site: Site, media: str, body: str) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await add_people(client)
        await sign_in(client)
        given = {"call": f"altcraft POST {IMPORT}", "media": media, "body": body}
        dry = await submit(client, "playground", **given, action="dry")
        before = [each.version for each in await site.store.find(1, [("email", "ann@example.com")])]
        sent = await submit(client, "playground", **given, action="send")
        after = [each.version for each in await site.store.find(1, [("email", "ann@example.com")])]
        return [unescape(dry.text), before, sent, after]

    dry, before, sent, after = site.run(converse)
    assert "matches by email" in dry
    assert '"path": "/family_name"' in dry
    assert "Sent for real: 200" in sent.text
    assert (before, after) == ([2], [3])


def test_the_body_of_a_call_decides_whether_it_only_reads(site: Site) -> None:
    query = "{ recipientPreferences { nodes { status } } }"
    mutation = 'mutation { updatePreferenceV2(templateId: "a", preferences: {status: OPTED_OUT}) { status } }'

    async def converse(client: httpx.AsyncClient) -> list[str]:
        await sign_in(client)
        given = {
            "call": "courier POST /client/q",
            "headers": "x-courier-user-id: ann",
            "media": "json",
            "action": "dry",
        }
        bodies = [json.dumps({"query": document}) for document in (query, mutation)]
        return [unescape((await submit(client, "playground", **given, body=body)).text) for body in bodies]

    read, tried = site.run(converse)
    assert '"nodes":[]' in read
    assert 'class="bad"' not in read
    assert '"path": ""' in tried
    assert asyncio.run(site.store.find(1, [("external_id", "ann")])) == []


def test_a_session_does_what_its_token_may(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> str:
        await sign_in(client, BLIND)
        given = {"call": f"altcraft POST {IMPORT}", "media": "json", "action": "send"}
        return (await submit(client, "playground", **given, body='{"email": "a@example.com", "data": {}}')).text

    assert "Sent for real: 403" in site.run(converse)
    assert asyncio.run(site.store.find(1, [("email", "a@example.com")])) == []


@pytest.mark.parametrize(
    "form",
    [
        {"call": "altcraft POST /nothing"},
        {"call": "klaviyo GET /api/profiles/{id}"},
        {"media": "csv"},
        {"action": "x"},
        {"headers": "Authorization: Bearer x"},
        {"headers": "nothing"},
        {"names": "nothing"},
        {"call": "altcraft POST /api/v1.1/subscriptions/suspend_all", "action": "case"},
    ],
)
def test_a_wrong_entry_is_named(site: Site, form: dict[str, str]) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        await sign_in(client)
        given = {"call": f"altcraft POST {IMPORT}", "media": "json", "action": "dry", "body": "{}", **form}
        return await submit(client, "playground", **given)

    reply = site.run(converse)
    assert reply.status_code == 400
    assert 'role="alert"' in reply.text


@pytest.mark.parametrize("body", ["{", "<xml>", "\x00", "[" * 1_000, "9" * 100_000, "null"])
def test_a_body_that_is_no_request_is_explained(site: Site, body: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        await sign_in(client)
        given = {"call": f"altcraft POST {IMPORT}", "media": "json", "action": "dry"}
        return await submit(client, "playground", **given, body=body)

    reply = site.run(converse)
    assert (reply.status_code, 'class="bad"' in reply.text) == (200, True)


def test_a_case_folder_can_be_read(site: Site, tmp_path: Path) -> None:
    async def converse(client: httpx.AsyncClient) -> bytes:
        await sign_in(client)
        given = {"call": f"altcraft POST {IMPORT}", "media": "xml", "action": "case"}
        return (await submit(client, "playground", **given, body="<xml><db_id>1</db_id></xml>")).content

    (tmp_path / "case.zip").write_bytes(site.run(converse))
    ZipFile(tmp_path / "case.zip").extractall(tmp_path)
    [case] = read_cases(tmp_path / "case")
    assert (case.media, case.request) == ("xml", b"<xml><db_id>1</db_id></xml>")
    assert OPERATOR not in str(case.about)


@pytest.mark.parametrize("call", ["altcraft POST /api/v1.1/subscriptions/suspend_all", "klaviyo POST /client/profiles"])
def test_a_call_without_a_dry_run_is_only_explained(site: Site, call: str) -> None:
    async def converse(client: httpx.AsyncClient) -> str:
        await add_people(client)
        await sign_in(client)
        given = {"call": call, "media": "json", "action": "dry", "body": '{"db_id": 1, "resource_id": 70}'}
        return (await submit(client, "playground", **given, query="company_id=demo")).text

    page = site.run(converse)
    assert "This call has no dry run." in page
    assert "Send it for real" in page
    [ann] = asyncio.run(site.store.find(1, [("email", "ann@example.com")]))
    assert ann.document["subscriptions"][0]["status"] == "subscribed"


def test_a_curl_command_quotes_what_a_shell_would_run() -> None:
    message = Message("POST", {"a": "`id`"}, b"'; rm -rf $HOME; '", target="/x?y=$(id)", base="http://gateway")
    command = curl_command(message)
    assert quote("$TOKEN", "$") in command
    assert """''"'"'; rm -rf $HOME; '"'"''""" in command
    assert "'http://gateway/x?y=$(id)'" in command


# --- set-up and traffic ---


@pytest.mark.parametrize(
    ("secret", "rights", "status"), [(BLIND, ["read"], 403), (OPERATOR, [], 400), (OPERATOR, ["read", "write"], 200)]
)
def test_a_token_gets_no_more_than_the_sessions_own_rights(
    site: Site, secret: str, rights: list[str], status: int
) -> None:
    async def converse(client: httpx.AsyncClient) -> tuple[int, int]:
        await sign_in(client, secret)
        before = len(await site.store.tokens())
        reply = await submit(client, "token-creation", name="new", right=rights)
        return reply.status_code, len(await site.store.tokens()) - before

    assert site.run(converse) == (status, status == 200)


def test_the_traffic_has_what_was_refused(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> str:
        await client.post(IMPORT, json={**profile("ann@example.com", "Ann"), "db_id": "x"})
        await sign_in(client)
        return unescape((await client.get("/console/traffic")).text)

    page = site.run(converse)
    assert all(text in page for text in ("invalid_parameter", "/database", "altcraft", "application/json", CLIENT))


def test_what_is_recorded_is_bounded_and_of_one_database() -> None:
    recorder = TrafficRecorder()
    row = RecordedResponse(1_000.0, "r", "altcraft", "GET", "/", "", 200, 0.1, "", "", "t", 1, 0, 0)
    for number in range(KEPT_RESPONSES + 5):
        recorder.append(replace(row, database=number % 2 + 1))
    assert len(recorder.responses(1)) + len(recorder.responses(2)) == KEPT_RESPONSES


def test_the_pages_of_the_console_are_no_traffic(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> str:
        await sign_in(client)
        await client.get("/console/people")
        return (await client.get("/console/traffic")).text

    assert "The last 0 responses" in site.run(converse)


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert [percentile([each / 1000 for each in range(100, 0, -1)], percent) for percent in (50, 99)] == [50, 99]
    assert percentile([0.004], 99) == 4


def test_the_chart_has_the_last_intervals() -> None:
    row = RecordedResponse(1_000.0, "r", "altcraft", "GET", "/", "", 200, 0.1, "", "", "t", 1, 0, 0)
    chart = bars([row, replace(row, fault="x"), replace(row, time=0.0)], 1_000.0)
    assert (len(chart), chart[-1].total, chart[-1].refused, sum(each.total for each in chart)) == (CHART_BARS, 2, 1, 2)
