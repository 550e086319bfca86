"""The commands `relay`."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from gateway.core.subscribers import Delivery, DeliveryResult
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from tests.command_line import Run
from tests.webhook_receiver import Received, Receiver, receiving

pytestmark = pytest.mark.usefixtures("no_settings")

WHOLE = "it must be a URL with a host, and without user name, query and fragment"
ID = re.compile(r"relay (rl_[0-9a-f]{16}) sends the changes of database 1 from now on\n")


@pytest.fixture
def account() -> Iterator[Receiver]:
    """An account of Courier, which accepts everything."""
    with receiving(lambda _message: (200, {"content-type": "application/json"}, b'{"status": "SUCCESS"}')) as found:
        yield found


@pytest.fixture
def credential(tmp_path: Path) -> Path:
    file = tmp_path / "credential"
    file.write_text("the-key\n")
    return file


@pytest.fixture
def profile(run: Run, url: str, no_settings: None) -> str:  # noqa: ARG001
    """The id of a profile of database 1."""
    done(run("database create --id 1 --name one"))
    token = done(run("token create --database 1")).splitlines()[-1]
    return asyncio.run(write(url, token))


async def write(url: str, token: str) -> str:
    """Write a profile. Return its id."""
    app = create(Settings(store=url, access_log=False))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        body = {"profile": {"email": "ann@example.com", "given_name": "Ann"}}
        reply = await client.post("/profiles/ann", json=body, headers={"authorization": f"Bearer {token}"})
        assert reply.status_code == 200, reply.text
    store = await open_store(url, create=False)
    [entry] = await store.journal(1, 0, 10)
    await store.close()
    return entry.profile


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr.removeprefix("Error: ").strip()


def created(run: Run, account: Receiver, credential: Path, *options: str) -> str:
    arguments = ("--url", account.url.rpartition("/")[0], "--credential-file", str(credential), *options)
    found = ID.fullmatch(done(run("relay create --database 1 --to courier", *arguments)))
    assert found
    return found[1]


def read(run: Run, command: str) -> Any:
    return json.loads(done(run(f"relay {command}")))


def give_up(url: str, id: str, profile: str) -> str:
    """Store a dead letter for the profile's first entry. Return its event."""

    async def work() -> str:
        store = await open_store(url, create=False)
        leased = await store.lease_subscriber(1, id, "test", 0, 1)
        assert leased
        await store.settle(DeliveryResult(leased, (), [Delivery(1, profile, 3, 1000, 2000, "HTTP 400", True)]), "test")
        await store.close()
        return f"{store.id}-1"

    return asyncio.run(work())


@pytest.mark.usefixtures("profile")
def test_a_relay_is_created_listed_printed_and_deleted(run: Run, account: Receiver, credential: Path) -> None:
    options = ("--segment", "5=five", "--topic", "7=news", "--replace", "--share", "0.5", "--ignore-token", "t1")
    id = created(run, account, credential, *options)
    found = read(run, f"show --database 1 {id}")
    assert found["target"]["segments"] == {"5": "five"}
    assert found["target"]["topics"] == {"7": "news"}
    assert (found["share"], found["ignored"], found["state"]) == (0.5, ["t1"], "active")
    assert "the-key" not in json.dumps(found)
    assert [each["id"] for each in read(run, "list --database 1 --json")] == [id]
    status = read(run, f"status --database 1 {id}")
    assert (status["waiting"], status["retried"], status["dead"], status["lag"]) == (0, 0, 0, 0)
    done(run(f"relay delete --database 1 {id}"))
    assert read(run, "list --database 1 --json") == []


@pytest.mark.usefixtures("profile")
def test_a_backfill_sends_the_profiles_first(run: Run, account: Receiver, credential: Path) -> None:
    id = created(run, account, credential, "--backfill")
    [message] = account.messages
    assert json.loads(message.body) == {"profile": {"email": "ann@example.com", "given_name": "Ann"}}
    assert message.headers["authorization"] == "Bearer the-key"
    assert refused(run(f"relay backfill --database 1 {id}")) == f"relay {id} has no backfill to complete"


@pytest.mark.usefixtures("profile")
def test_a_dry_run_prints_the_requests_and_creates_nothing(run: Run, account: Receiver, credential: Path) -> None:
    arguments = ("--url", account.url.rpartition("/")[0], "--credential-file", str(credential), "--dry-run")
    row = json.loads(done(run("relay create --database 1 --to courier", *arguments)))
    [request] = row["requests"]
    assert request == {
        "call": "POST /profiles/ann",
        "body": {"profile": {"email": "ann@example.com", "given_name": "Ann"}},
    }
    assert account.messages == []
    assert read(run, "list --database 1 --json") == []


def test_a_dead_letter_is_mended(
    run: Run, url: str, account: Receiver, credential: Path, profile: str, tmp_path: Path
) -> None:
    id = created(run, account, credential)
    event = give_up(url, id, profile)
    [request] = read(run, f"mend --database 1 --dry-run {id} {event}")
    assert (request["method"], request["path"]) == ("POST", "/profiles/ann")
    assert request["body"]["profile"] == {"email": "ann@example.com", "given_name": "Ann"}
    del request["body"]["profile"]["given_name"]
    file = tmp_path / "requests.json"
    file.write_text(json.dumps([request]))
    account.answers = lambda _message: (400, {"content-type": "application/json"}, b'{"message": "no ann"}')
    mend = f"mend --database 1 --requests {file} {id} {event}"
    assert refused(run(f"relay {mend}")) == "POST /profiles/***: HTTP 400 no ***"
    assert len(read(run, f"dead --database 1 --json {id}")) == 1
    account.answers = answer_success
    assert done(run(f"relay {mend}")) == f"{event} sent\n"
    assert json.loads(account.messages[-1].body) == request["body"]
    assert read(run, f"dead --database 1 --json {id}") == []
    assert refused(run(f"relay {mend}")) == "event: there is no such dead letter"


def answer_success(_message: Received) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "the requests are not JSON"),
        ("[]", "requests: it must be a list of requests"),
        ('[{"method": "POST"}]', "requests/0: it must have method and path, and may have a body"),
        ('[{"method": "GET", "path": "/a"}]', "requests/0/method: it must be POST, PUT, PATCH or DELETE"),
        ('[{"method": "POST", "path": "/a b"}]', "requests/0/path: it must begin with one /, and be encoded"),
        ('[{"method": "POST", "path": "//evil.example"}]', "requests/0/path: it must begin with one /, and be encoded"),
    ],
)
def test_requests_that_are_wrong_are_not_sent(
    run: Run, url: str, account: Receiver, credential: Path, profile: str, tmp_path: Path, text: str, reason: str
) -> None:
    id = created(run, account, credential)
    event = give_up(url, id, profile)
    file = tmp_path / "requests.json"
    file.write_text(text)
    assert refused(run(f"relay mend --database 1 --requests {file} {id} {event}")) == reason
    assert account.messages == []


def test_a_letter_whose_credential_has_another_key_is_refused(
    run: Run, url: str, account: Receiver, credential: Path, profile: str, tmp_path: Path
) -> None:
    id = created(run, account, credential)
    event = give_up(url, id, profile)
    [key] = tmp_path.glob("*.secret")
    key.write_text("0" * 64)
    reason = "its secret was encrypted with another key than that of GATEWAY_SECRET_FILE"
    assert refused(run(f"relay mend --database 1 --dry-run {id} {event}")) == reason


def test_dead_letters_are_replayed_and_dropped(
    run: Run, url: str, account: Receiver, credential: Path, profile: str
) -> None:
    id = created(run, account, credential)
    event = give_up(url, id, profile)
    done(run(f"relay replay --database 1 {id} {event}"))
    assert read(run, f"status --database 1 {id}")["retried"] == 1
    event = give_up(url, id, profile)
    assert done(run(f"relay drop --database 1 {id} {event}")) == "1 dropped\n"
    assert read(run, f"dead --database 1 --json {id}") == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            "--to courier --url http://example.com",
            "url: it must begin with https://; http:// is for this machine alone",
        ),
        ("--to courier --url https://example.com --media xml", "media: it must be json, or xml for altcraft"),
        ("--to courier --url https://example.com --merge", "merges: it is for klaviyo alone"),
        ("--to klaviyo --url https://example.com --replace", "replaces: it is for courier alone"),
        ("--to klaviyo --url https://example.com --resource 5", "resource: it is for altcraft alone"),
    ],
)
@pytest.mark.usefixtures("profile")
def test_a_relay_that_is_wrong_is_refused(run: Run, credential: Path, options: str, reason: str) -> None:
    arguments = (*options.split(), "--credential-file", str(credential))
    assert refused(run("relay create --database 1", *arguments)) == reason


@pytest.mark.usefixtures("profile")
def test_a_credential_is_needed(run: Run, credential: Path) -> None:
    credential.write_text("\n")
    arguments = ("--url", "https://example.com", "--credential-file", str(credential))
    reason = refused(run("relay create --database 1 --to courier", *arguments))
    assert reason == "credential: it must be visible ASCII characters"


@pytest.mark.parametrize(
    "command", ["show", "status", "delete", "dead", "replay", "backfill", "drop e", "mend e --dry-run"]
)
@pytest.mark.usefixtures("profile")
def test_a_relay_that_is_not_there_is_refused(run: Run, command: str) -> None:
    name, *rest = command.split()
    assert refused(run(f"relay {name} --database 1 rl_none", *rest)) == "there is no such relay"
