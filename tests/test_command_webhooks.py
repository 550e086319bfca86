"""The commands `webhook`."""

import asyncio
import json
import re
import sys
from typing import Any

import pytest
from click.testing import Result
from msgspec.structs import replace

from gateway.core.subscribers import Delivery, DeliveryResult
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("no_settings")

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def created(run: Run, no_settings: None, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    """The id of a webhook of database 1."""
    monkeypatch.setenv("GATEWAY_WEBHOOK_PRIVATE", "true")
    run("database create --id 1 --name one")
    lines = done(run(f"webhook create --database 1 --url {URL} --type profile.created --member /email --values"))
    [head, secret] = lines.splitlines()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    [id] = re.findall(r"^webhook (wh_[0-9a-f]{16}) gets the changes of database 1 from now on", head)
    return str(id)


def done(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr.removeprefix("Error: ").strip()


def give_up(url: str, id: str, *positions: int) -> None:
    """Store dead letters of a webhook."""

    async def work() -> None:
        store: Store = await open_store(url, create=False)
        leased = await store.lease_subscriber(1, id, "test", 0, 1)
        assert leased
        dead = [Delivery(position, "p", 3, 1000, 2000, "HTTP 500", True) for position in positions]
        await store.settle(DeliveryResult(replace(leased, state="disabled", reason="HTTP 410"), (), dead), "test")
        await store.close()

    asyncio.run(work())


def printed_webhook(run: Run, id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(run(f"webhook show --database 1 {id}")))
    return found


def test_a_webhook_is_created_listed_printed_and_deleted(run: Run, created: str) -> None:
    found = printed_webhook(run, created)
    assert json.loads(done(run("webhook list --database 1 --json"))) == [found]
    assert created in done(run("webhook list --database 1"))
    assert (
        found.items()
        >= {
            "id": created,
            "url": URL,
            "types": ["profile.created"],
            "members": ["/email"],
            "values": True,
            "state": "active",
        }.items()
    )
    assert done(run(f"webhook delete --database 1 {created}")) == f"webhook {created} deleted\n"
    assert done(run("webhook list --database 1 --json")) == "[]\n"


def test_dead_letters_are_listed_and_replayed(run: Run, url: str, created: str) -> None:
    give_up(url, created, 1, 2, 3)
    letters = json.loads(done(run(f"webhook dead --database 1 --json {created}")))
    assert [each["reason"] for each in letters] == ["HTTP 500"] * 3
    assert printed_webhook(run, created)["state"] == "disabled"
    done(run(f"webhook replay --database 1 {created} {letters[1]['event']}"))
    assert json.loads(done(run(f"webhook dead --database 1 --json {created}"))) == [letters[0], letters[2]]
    assert printed_webhook(run, created)["state"] == "active"
    done(run(f"webhook replay --database 1 {created}"))
    assert done(run(f"webhook dead --database 1 --json {created}")) == "[]\n"


def test_dead_letters_are_dropped(run: Run, url: str, created: str) -> None:
    give_up(url, created, 1, 2, 3)
    letters = json.loads(done(run(f"webhook dead --database 1 --json {created}")))
    events = " ".join(each["event"] for each in letters[:2])
    assert done(run(f"webhook drop --database 1 {created} {events}")) == "2 dropped\n"
    assert json.loads(done(run(f"webhook dead --database 1 --json {created}"))) == letters[2:]
    assert printed_webhook(run, created)["state"] == "disabled"


@pytest.mark.parametrize("command", ["show", "delete", "dead", "replay"])
def test_a_webhook_that_is_not_there_is_refused(run: Run, created: str, command: str) -> None:
    for database, id in ((1, "wh_0"), (2, created)):
        assert refused(run(f"webhook {command} --database {database} {id}")) == "there is no such webhook"


@pytest.mark.parametrize("kind", ["webhook", "relay"])
@pytest.mark.usefixtures("created")
def test_a_list_of_a_database_that_is_not_there_is_refused(run: Run, kind: str) -> None:
    assert refused(run(f"{kind} list --database 9")) == "there is no database 9"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--database 1 --url ftp://example.com", "url: it must begin with https:// or http:// and name a host"),
        ("--database 1 --url http://a.invalid", "url: its host has no address"),
        (f"--database 1 --url {URL} --member email", "members: at most 100 JSON Pointers, which begin with /"),
        (f"--database 9 --url {URL}", "there is no database 9"),
    ],
)
@pytest.mark.usefixtures("created")
def test_a_webhook_that_is_wrong_is_refused(run: Run, arguments: str, reason: str) -> None:
    assert refused(run(f"webhook create {arguments}")) == reason
    assert len(json.loads(done(run("webhook list --database 1 --json")))) == 1


def test_a_private_address_is_refused_by_default(run: Run) -> None:
    run("database create --id 1 --name one")
    assert refused(run(f"webhook create --database 1 --url {URL}")) == "url: its host has a private address"


def test_an_event_that_is_none_is_refused(run: Run, url: str, created: str) -> None:
    give_up(url, created, 1)
    assert refused(run(f"webhook replay --database 1 {created} x-1")) == "events: the cursor is not one of this feed"


def test_a_missing_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("database create --id 1 --name one")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    done = run("webhook create --database 1 --url https://8.8.8.8/")
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: this needs an extra: pip install 'profile-gateway[webhooks]'\n",
    )
