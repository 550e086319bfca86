"""The commands that update databases, resources, segments and tokens, on a real store and beside a running server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Resource
from gateway.core.segments import Segment
from gateway.service import database_update
from tests.command_line import Run
from tests.test_command import Server, assert_refused, databases, done, on_store, tokens

pytestmark = pytest.mark.usefixtures("no_settings")
TOKEN = "0123456789abcdef"

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCboQ1fHdyGZBJVMbg=
-----END PUBLIC KEY-----
"""
CARD = {"type": "string", "pattern": "^[0-9]{4}$", "x-identifier": True}


def fields_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.fixture
def declare(tmp_path: Path) -> Callable[..., str]:
    """Return the path of a file that declares these fields."""

    def write(**properties: Any) -> str:
        file = tmp_path / "fields.json"
        file.write_text(json.dumps(fields_of(**properties)))
        return str(file)

    return write


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    server = Server(url, GATEWAY_BOOTSTRAP_TOKEN=TOKEN, GATEWAY_ACCESS_LOG="false", GATEWAY_RATE_LIMITS="0")
    yield server
    server.stop()


def send(server: Server, call: str, **body: Any) -> dict[str, Any]:
    response = httpx.post(f"{server.address}/api/v1.1/profiles/{call}", json={"token": TOKEN, "db_id": 1, **body})
    return response.json()


def imported(server: Server, name: str, **data: Any) -> str:
    email = f"{name}@example.com"
    return send(server, "import", email=email, data={"email": email, **data})["profile_id"]


# --- databases ---


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["--name", "other"], Database(7, "other", True, fields_of(card=CARD), "acme")),
        (["--open"], Database(7, "seven", False, fields_of(card=CARD), "acme")),
        (["--company-id", "new"], Database(7, "seven", True, fields_of(card=CARD), "new")),
        (["--company-id", ""], Database(7, "seven", True, fields_of(card=CARD))),
    ],
)
def test_updates_what_an_option_names(
    run: Run, url: str, declare: Callable[..., str], options: list[str], changed: Database
) -> None:
    done(run("database create --id 7 --name seven --closed --company-id acme --fields", declare(card=CARD)))
    assert done(run("database update 7", *options)) == "database 7 updated\n"
    assert databases(url) == [changed]


def test_refuses_an_update_of_nothing_and_of_what_is_not_there(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    done(run("database create --id 8 --name eight --company-id acme"))
    before = databases(url)
    assert_refused(run("database update 7"), 2, "nothing to update")
    assert_refused(run("database update 9 --closed"), 1, "there is no database 9")
    assert_refused(run("database update 7 --company-id acme"), 1, "another database's")
    assert databases(url) == before


def test_a_running_server_uses_new_fields_at_once(server: Server, run: Run, declare: Callable[..., str]) -> None:
    first = imported(server, "first", card="0001")
    file = declare(card=CARD, age={"type": "integer"})
    assert done(run("database update 1 --fields", file)).splitlines() == [
        "database 1 updated",
        "1 profiles indexed by their identifiers",
    ]
    second = imported(server, "second", card="0002")
    for id, card in ((first, "0001"), (second, "0002")):
        found = send(server, "import", matching="custom", field_name="card", field_value=card, data={"age": 7})
        assert found["profile_id"] == id
    refused = send(server, "import", email="third@example.com", data={"email": "third@example.com", "age": "young"})
    assert refused["error"] != 0


def test_indexes_stored_profiles_in_steps_and_again(
    server: Server, run: Run, declare: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_update, "STEP_PROFILES", 2)
    ids = [imported(server, f"p{number}", card=f"000{number}") for number in range(5)]
    for _ in range(2):
        assert "5 profiles indexed" in done(run("database update 1 --fields", declare(card=CARD)))
    for number, id in enumerate(ids):
        found = send(server, "import", matching="custom", field_name="card", field_value=f"000{number}", data={})
        assert found["profile_id"] == id


def test_removes_the_identities_of_a_former_identifier(
    server: Server, url: str, run: Run, declare: Callable[..., str]
) -> None:
    id = imported(server, "first", customer_id="c1")
    key = ("custom/customer_id", "c1")
    assert [each.id for each in on_store(url, lambda store: store.find(1, [key]))] == [id]
    done(run("database update 1 --fields", declare(customer_id={"type": "string"})))
    assert on_store(url, lambda store: store.find(1, [key])) == []
    assert [each.version for each in on_store(url, lambda store: store.find(1, [("id", id)]))] == [1]


def test_counts_the_profiles_that_would_become_invalid(
    server: Server, url: str, run: Run, declare: Callable[..., str]
) -> None:
    young = imported(server, "young", age="young")
    imported(server, "old", age=70)
    before = databases(url)
    file = declare(age={"type": "integer"})
    counted = done(run("database update 1 --dry-run --fields", file)).splitlines()
    assert counted[0].startswith("1 of 2 profiles would become invalid, 0 would have")
    assert counted[1:] == [f"  profile {young}: /custom/age"]
    refused = run("database update 1 --fields", file)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "1 of 2 profiles would become invalid" in refused.stderr
    assert "--force" in refused.stderr
    assert databases(url) == before
    forced = run("database update 1 --force --fields", file)
    assert (forced.exit_code, forced.stdout.splitlines()[0]) == (0, "database 1 updated")
    assert databases(url)[0].fields == fields_of(age={"type": "integer"})
    # What is invalid already does not count again.
    assert done(run("database update 1 --dry-run --fields", file)).startswith("0 of 2 profiles")


def test_counts_the_undeclared_fields_of_a_database_that_is_closed(server: Server, run: Run) -> None:
    imported(server, "first", customer_id="c1")
    imported(server, "second", colour="red")
    assert done(run("database update 1 --closed --dry-run")).startswith("1 of 2 profiles would become invalid")
    assert run("database update 1 --closed").exit_code == 1


def test_counts_the_profiles_that_would_share_an_identifier(
    server: Server, run: Run, declare: Callable[..., str]
) -> None:
    for name in ("first", "second", "third"):
        imported(server, name, card="0001")
    imported(server, "fourth", card="0004")
    counted = done(run("database update 1 --dry-run --fields", declare(card=CARD)))
    assert counted.startswith("0 of 4 profiles would become invalid, 2 would have a value")
    assert run("database update 1 --fields", declare(card=CARD)).exit_code == 1


@pytest.mark.parametrize("option", ["--fields", "GATEWAY_BOOTSTRAP_FIELDS"])
def test_the_first_start_declares_the_fields_of_a_file(url: str, declare: Callable[..., str], option: str) -> None:
    file = declare(card=CARD)
    flags, environ = ([option, file], {}) if option.startswith("--") else ([], {option: file})
    Server(url, *flags, **environ).stop()
    assert databases(url)[0].fields == fields_of(card=CARD)
    again = Server(url, "--fields", declare(other={"type": "string"}))
    again.stop()
    assert databases(url)[0].fields == fields_of(card=CARD)
    assert "GATEWAY_BOOTSTRAP_FIELDS is not used" in again.log


@pytest.mark.parametrize("text", [None, "{", '{"type": "object"}'])
def test_refuses_to_start_with_fields_that_cannot_be_read(run: Run, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "fields.json"
    if text:
        file.write_text(text)
    assert_refused(run("serve --port 0 --fields", str(file)), 2, "GATEWAY_BOOTSTRAP_FIELDS", str(file))
    assert not (tmp_path / "gateway.db").exists()


# --- resources, segments, tokens ---


def test_lists_updates_and_deletes_resources(run: Run, url: str, declare: Callable[..., str]) -> None:
    done(run("database create --id 7 --name seven"))
    done(run("resource create --database 7 --id 2 --name shop --category new --category sale"))
    head, shop = done(run("resource list --database 7")).splitlines()
    assert head.split() == ["id", "name", "categories", "fields"]
    assert shop.split() == ["2", "shop", "new,", "sale", "-"]
    assert done(run("resource update --database 7 --id 2 --name store")) == "resource 2 updated in database 7\n"
    assert databases(url)[0].resources == {2: Resource(2, "store", ("new", "sale"))}
    done(run("resource update --database 7 --id 2 --category vip --fields", declare(card=CARD)))
    assert databases(url)[0].resources == {2: Resource(2, "store", ("vip",), fields_of(card=CARD))}
    [row] = json.loads(done(run("resource list --database 7 --json")))
    assert row == {"id": 2, "name": "store", "categories": ["vip"], "fields": ["card"]}
    assert done(run("resource delete --database 7 --id 2")) == "resource 2 deleted in database 7\n"
    assert databases(url)[0].resources == {}


def test_gives_a_resource_a_token_and_a_key(run: Run, url: str, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(PUBLIC_KEY)
    done(run("database create --id 7 --name seven"))
    done(run("resource create --database 7 --id 2 --name app --rtoken secret-of-app --public-key", str(key)))
    app = Resource(2, "app", token_hash=fingerprint("secret-of-app"), public_key=PUBLIC_KEY)
    assert databases(url)[0].resources == {2: app}
    refused = run("resource create --database 7 --id 3 --name other --rtoken secret-of-app")
    assert refused.stderr == "Error: database 7 has a resource 3 already, or another resource has this token\n"
    done(run("resource update --database 7 --id 2 --rtoken another"))
    assert databases(url)[0].resources[2] == replace(app, token_hash=fingerprint("another"))
    key.write_text("no key")
    refused = run("resource update --database 7 --id 2 --public-key", str(key))
    assert refused.exit_code == 2
    assert "--public-key: it is no public key in PEM" in refused.stderr


def test_lists_updates_and_deletes_segments(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    done(run("segment create --database 7 --id 3 --name vip"))
    assert done(run("segment update --database 7 --id 3 --name best")) == "segment 3 updated in database 7\n"
    assert databases(url)[0].segments == {3: Segment(3, "best")}
    assert json.loads(done(run("segment list --database 7 --json"))) == [{"id": 3, "name": "best", "archived": False}]
    assert done(run("segment list --database 7")).split() == ["id", "name", "archived", "3", "best", "no"]
    assert done(run("segment delete --database 7 --id 3")) == "segment 3 deleted in database 7\n"
    assert databases(url)[0].segments == {}


def test_a_segment_may_have_a_text_as_its_id(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    done(run("segment create --database 7 --id vip --name VIP"))
    done(run("segment create --database 7 --id 007 --name Bond"))
    on_store(url, lambda store: store.archive_segment(7, "vip", 5))
    done(run("segment update --database 7 --id vip --name best"))
    assert databases(url)[0].segments == {"007": Segment("007", "Bond"), "vip": Segment("vip", "best", archived=5)}
    assert done(run("segment list --database 7")).split()[3:] == ["007", "Bond", "no", "vip", "best", "yes"]
    done(run("segment delete --database 7 --id vip"))
    assert [*databases(url)[0].segments] == ["007"]
    for id in ("0", "x" * 301, "9007199254740992"):
        assert run("segment create --database 7 --name x --id", id).exit_code == 2


@pytest.mark.parametrize("kind", ["resource", "segment"])
def test_refuses_resources_and_segments_that_are_not_there(run: Run, kind: str) -> None:
    done(run("database create --id 7 --name seven"))
    for command in (f"{kind} update --name x", f"{kind} delete"):
        assert_refused(run(f"{command} --database 7 --id 1"), 1, f"there is no {kind} 1 in database 7")
        assert_refused(run(f"{command} --database 8 --id 1"), 1, "there is no")
    assert_refused(run(f"{kind} list --database 8"), 1, "there is no database 8")
    if kind == "resource":
        assert_refused(run("resource update --database 7 --id 1"), 2, "nothing to update")


def test_names_a_token(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    done(run("token create --database 7 --name", "shop's tills"))
    done(run("token create --database 7"))
    assert [token.name for token in tokens(url)] == ["shop's tills", ""]
    assert [row["name"] for row in json.loads(done(run("token list --json")))] == ["shop's tills", ""]
    assert "shop's tills" in done(run("token list"))
