"""Browser tests of the console, with Debian's chromium: `make test-console`.

They click through the pages at desktop and phone width, light and dark; axe (WCAG 2.2 AA) looks at each one. With
SCREENSHOTS=FOLDER they save what they see.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.feed.webhooks.endpoints import WEBHOOK
from gateway.server.app import create
from gateway.stores.protocol import Store
from gateway.testkit.server_thread import ServerThread
from tests.console.sites import BLIND, OPERATOR, SCRIPT, add_relay, add_subscriber, profile, seed, settings
from tests.webhook_receiver import Received, receiving

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
WIDTHS = {"desktop": (1200, 900), "phone": (390, 844)}
LOOKS = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
SCREENSHOTS = os.environ.get("SCREENSHOTS")

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium: apt-get install chromium"),
    pytest.mark.filterwarnings("default"),
]

Look = tuple[Page, str]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway with some people, requests and refusals."""
    server = ServerThread()
    store = server.run(seed())

    async def opened(_url: str) -> Store:
        return store

    folder = tmp_path_factory.mktemp("console")
    current = replace(settings(folder), keep_refused_days=3)
    with server.serving(create(current, open_store=opened)), receiving(accept_import) as account:
        for number, name in enumerate(["Ann", "Ben", SCRIPT]):
            for changed in (name, f"{name} {number}"):
                httpx.post(f"{server.url}/api/v1.1/profiles/import", json=profile(f"p{number}@example.com", changed))
        httpx.post(f"{server.url}/api/v1.1/profiles/import", json={**profile("q@example.com", "Q"), "db_id": "x"})
        server.run(add_subscriber(store, WEBHOOK, [1, 2, 3]))
        letters = 2 * len(LOOKS) + 1
        for number in range(letters):
            body = profile(f"letter{number}@example.com", "Lee")
            httpx.post(f"{server.url}/api/v1.1/profiles/import", json=body)
        server.run(add_relay(store, account.url, folder / "key", letters))
        yield server.url
    server.close()


def accept_import(_message: Received) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json"}, b'{"error": 0}'


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def session(chromium: Browser, url: str) -> Any:
    """The cookie of the operator: attempts to sign in are limited."""
    page = chromium.new_context(base_url=url).new_page()
    sign_in(page, OPERATOR)
    return page.context.storage_state()


@pytest.fixture(params=LOOKS, ids=lambda look: "-".join(look))
def look(request: pytest.FixtureRequest, chromium: Browser, url: str, session: Any) -> Iterator[Look]:
    """A page of a signed-in browser at one width, in one colour scheme, and the name of both."""
    width, scheme = request.param
    size: Any = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    context = chromium.new_context(viewport=size, color_scheme=scheme, base_url=url, storage_state=session)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda sent: problems.append(sent.url) if not sent.url.startswith(url) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto("/console")
    yield page, f"{width}-{scheme}"
    assert problems == []
    context.close()


def sign_in(page: Page, secret: str) -> None:
    page.goto("/console")
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()


def examine(look: Look, name: str) -> None:
    """Require that axe finds nothing, and that nothing but what is meant to scroll is wider than the window."""
    page, names = look
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}-{names}.png")


def test_the_sign_in_is_accessible(chromium: Browser, url: str) -> None:
    page = chromium.new_context(base_url=url).new_page()
    sign_in(page, "no such token")
    expect(page.get_by_role("alert")).to_contain_text("not known")
    page.keyboard.press("Tab")
    examine((page, "desktop-light"), "sign-in")


def test_a_person_is_found_and_read(look: Look) -> None:
    page, _ = look
    examine(look, "people")
    page.get_by_label("Identifier").fill("P0@example.com")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("table").get_by_role("link").click()
    for dialect in ("Altcraft", "Courier", "Klaviyo"):
        expect(page.get_by_role("region", name=dialect)).to_be_visible()
    expect(page.get_by_role("region", name="Subscriptions")).to_contain_text("subscribed")
    page.get_by_text("update to version 2").click()
    expect(page.get_by_text('"value": "Ann 0"')).to_be_visible()
    examine(look, "person")
    page.get_by_text("create to version 1").click()
    page.get_by_role("link", name="the document after it").first.click()
    expect(page.get_by_role("heading", name="Version 1, at")).to_be_visible()
    examine(look, "earlier")


def test_a_stored_script_is_text(look: Look) -> None:
    page, _ = look
    page.get_by_label("Identifier").fill("p2@example.com")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("table").get_by_role("link").click()
    expect(page.get_by_text("<script>").first).to_be_visible()
    for name in ("Set-up", "Traffic", "Refused", "Playground"):
        page.get_by_role("link", name=name).click()
        assert page.title() == f"{name} – Profile Gateway"


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("JSON", '{"db_id": 1, "email": "p1@example.com", "data": {"_lname": "Berg"}}'),
        ("XML", "<xml><db_id>1</db_id><email>p1@example.com</email><data><_lname>Berg</_lname></data></xml>"),
    ],
)
def test_a_request_runs_dry_and_then_for_real(look: Look, media: str, body: str) -> None:
    page, _ = look
    page.get_by_role("link", name="Playground").click()
    page.get_by_label(media).check()
    page.get_by_label("Body").fill(body)
    page.get_by_role("button", name="Run dry").click()
    results = page.locator("#results")
    expect(results).to_contain_text("matches by email p1@example.com")
    expect(results.get_by_text("No fault.")).to_be_visible()
    examine(look, f"playground-{media.lower()}")
    page.get_by_role("button", name="Send it for real").click()
    expect(page.get_by_role("heading", name="Sent for real: 200")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a case folder").click()
    assert download.value.suggested_filename == "case.zip"


def test_a_refused_request_names_the_place(look: Look) -> None:
    page, _ = look
    page.get_by_role("link", name="Playground").click()
    page.get_by_label("Body").fill('{"db_id": 1, "email": 5, "data": {}}')
    page.get_by_role("button", name="Run dry").click()
    expect(page.get_by_role("listitem").filter(has_text="invalid_field").first).to_be_visible()
    examine(look, "playground-refused")


def test_the_traffic_has_the_last_refusals(look: Look) -> None:
    page, _ = look
    page.get_by_role("link", name="Traffic").click()
    expect(page.get_by_role("region", name="Last refusals")).to_contain_text("/database")
    examine(look, "traffic")


def test_a_refused_request_is_mended_and_replayed(look: Look, url: str) -> None:
    page, name = look
    address = f"{name}-refused@example.com"
    body = {**profile(address, "Fay"), "data": {"email": address, "_bdate": f"never {SCRIPT}"}}
    httpx.post(f"{url}/api/v1.1/profiles/import", json=body)
    page.wait_for_timeout(1_000)
    page.get_by_role("link", name="Traffic").click()
    page.get_by_role("region", name="Last refusals").get_by_role("link").first.click()
    expect(page.get_by_role("cell", name="/data/_bdate")).to_be_visible()
    examine(look, "refused")
    page.get_by_role("table").get_by_role("link").click()
    expect(page.get_by_role("listitem").filter(has_text="invalid_field")).to_contain_text("/data/_bdate")
    examine(look, "refused-request")
    field = page.get_by_label("Body, without its token")
    field.fill(json.dumps({**body, "token": "", "data": {"email": address, "_bdate": "2000-01-31"}}, indent=2))
    page.get_by_role("button", name="Mend and replay").click()
    expect(page.get_by_role("status")).to_contain_text("Accepted")
    examine(look, "refused-replayed")
    page.get_by_role("link", name="People").click()
    page.get_by_label("Identifier").fill(address)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("table").get_by_role("link")).to_be_visible()


def test_many_refused_requests_are_replayed(look: Look, url: str) -> None:
    page, name = look
    for number in range(2):
        wrong = {**profile(f"{name}-{number}@example.com", "Gus"), "db_id": "x"}
        httpx.post(f"{url}/api/v1.1/profiles/import", json=wrong)
    page.wait_for_timeout(1_000)
    page.get_by_role("link", name="Refused").click()
    page.get_by_label("State").select_option("not replayed")
    page.get_by_role("button", name="Filter").click()
    for number in range(2):
        page.get_by_role("checkbox").nth(number).check()
    page.get_by_role("button", name="Replay the chosen ones").click()
    expect(page.get_by_role("status").get_by_text("refused again")).to_have_count(2)
    examine(look, "refused-again")


def test_a_token_is_created_and_revoked(look: Look) -> None:
    page, name = look
    page.get_by_role("link", name="Set-up").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("read", exact=True).check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status")).to_contain_text("was created")
    examine(look, "set-up")
    page.get_by_role("button", name=f"Revoke {name}", exact=True).click()
    expect(page.get_by_role("button", name=f"Revoke {name}", exact=True)).to_have_count(0)


def test_a_field_is_declared_after_a_preview(look: Look) -> None:
    page, name = look
    page.get_by_role("link", name="Set-up").click()
    page.get_by_role("link", name="Change the fields").click()
    page.get_by_label("Declared fields").fill('{"properties": {"custom_note": {"type": "integer"}}}')
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("status")).to_contain_text("would become invalid")
    expect(page.get_by_label("Change it all the same")).not_to_be_checked()
    examine(look, "fields-invalid")
    page.get_by_label("Declared fields").fill('{"properties": {}}')
    page.get_by_label("Name", exact=True).fill(f"size-{name}")
    page.get_by_label("Type").select_option("integer")
    page.get_by_role("button", name="Declare it").click()
    expect(page.get_by_role("status")).to_contain_text("0 of")
    examine(look, "fields")
    page.get_by_role("button", name="Change the declaration").click()
    expect(page.get_by_role("region", name="Fields")).to_contain_text(f"size-{name}")


def test_the_dead_letters_of_a_webhook_are_seen(look: Look) -> None:
    page, _ = look
    page.get_by_role("link", name="Set-up").click()
    page.get_by_role("link", name="s1").click()
    letters = page.get_by_role("region", name="Dead letters")
    expect(letters.get_by_role("checkbox")).to_have_count(2)
    examine(look, "subscriber")
    letters.get_by_role("row").last.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Event")).to_be_visible()
    examine(look, "letter-of-webhook")


def test_a_dead_letter_of_a_relay_is_mended(look: Look) -> None:
    page, _ = look
    page.get_by_role("link", name="Set-up").click()
    page.get_by_role("link", name="rl_").click()
    checkboxes = page.get_by_role("region", name="Dead letters").get_by_role("checkbox")
    before = checkboxes.count()
    page.get_by_role("region", name="Dead letters").get_by_role("row").nth(1).get_by_role("link").first.click()
    field = page.get_by_label("Requests, as JSON")
    examine(look, "letter")
    field.fill(json.dumps(json.loads(field.input_value()), indent=2))
    page.get_by_role("button", name="Send in its place").click()
    expect(checkboxes).to_have_count(before - 1)


def test_a_dead_letter_is_dropped(look: Look) -> None:
    page, _ = look
    page.get_by_role("link", name="Set-up").click()
    page.get_by_role("link", name="rl_").click()
    checkboxes = page.get_by_role("region", name="Dead letters").get_by_role("checkbox")
    before = checkboxes.count()
    checkboxes.last.check()
    page.get_by_role("button", name="Drop the chosen ones").click()
    expect(checkboxes).to_have_count(before - 1)


def test_the_refusal_of_a_mended_letter_is_accessible(chromium: Browser, url: str, session: Any) -> None:
    page = chromium.new_context(base_url=url, storage_state=session).new_page()
    page.goto("/console/set-up")
    page.get_by_role("link", name="rl_").click()
    page.get_by_role("region", name="Dead letters").get_by_role("row").nth(1).get_by_role("link").first.click()
    page.get_by_label("Requests, as JSON").fill("[]")
    page.get_by_role("button", name="Send in its place").click()
    expect(page.get_by_role("alert")).to_contain_text("must be a list of requests")
    examine((page, "desktop-light"), "letter-refused")


def test_a_person_is_erased_after_a_look_at_what_goes(look: Look, url: str) -> None:
    page, name = look
    address = f"{name}@example.com"
    httpx.post(f"{url}/api/v1.1/profiles/import", json=profile(address, "Eve"))
    page.get_by_label("Identifier").fill(address)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("table").get_by_role("link").click()
    page.get_by_role("link", name="Erase this person").click()
    expect(page.get_by_text(f"email: {address}")).to_be_visible()
    examine(look, "erasure")
    page.get_by_role("button", name="Erase now").click()
    page.get_by_label("Identifier").fill(address)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No profile has this identifier.")).to_be_visible()


def test_people_are_merged_and_the_merge_is_undone_after_a_look(look: Look, url: str) -> None:
    page, name = look
    into, other = (f"{name}-{each}@example.com" for each in ("into", "other"))
    for address, given in ((into, "Hal"), (other, SCRIPT)):
        httpx.post(f"{url}/api/v1.1/profiles/import", json=profile(address, given))
    page.get_by_label("Identifier").fill(into)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("table").get_by_role("link").click()
    page.get_by_role("link", name="Merge with another profile").click()
    page.get_by_label("Identifier of the other profile").fill(other)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("button", name="Merge now")).to_have_count(0)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="is removed")).to_be_visible()
    examine(look, "merge")
    page.get_by_role("button", name="Merge now").click()
    page.get_by_role("region", name="Merges").get_by_role("link", name="Undo the merge").click()
    expect(page.get_by_role("heading", name="returns")).to_be_visible()
    examine(look, "undo")
    page.get_by_role("button", name="Undo now").click()
    expect(page.get_by_role("region", name="Merges")).to_contain_text("undone")
    examine(look, "merged")


def test_the_refusal_of_an_undo_is_accessible(chromium: Browser, url: str, session: Any) -> None:
    page = chromium.new_context(base_url=url, storage_state=session).new_page()
    page.goto("/console/undo?merge=nothing")
    expect(page.get_by_role("alert")).to_contain_text("unknown_merge")
    examine((page, "desktop-light"), "undo-refused")


def test_the_pages_work_by_keyboard_without_a_script(chromium: Browser, url: str) -> None:
    page = chromium.new_context(base_url=url, java_script_enabled=False).new_page()
    sign_in(page, OPERATOR)
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_label("Identifier").press_sequentially("p0@example.com")
    page.keyboard.press("Enter")
    page.get_by_role("table").get_by_role("link").press("Enter")
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_values_are_masked_without_the_right_to_read(chromium: Browser, url: str) -> None:
    page = chromium.new_context(base_url=url).new_page()
    sign_in(page, BLIND)
    page.get_by_role("table").get_by_role("link").first.click()
    expect(page.get_by_text("The values are masked")).to_be_visible()
    assert "example.com" not in page.content()
    examine((page, "desktop-light"), "masked")
