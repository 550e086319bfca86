"""The command line, on a real store: what it keeps, what it prints, and how it refuses."""

import asyncio
import json
import logging
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import Result

from gateway.cli.main import main
from gateway.cli.serve import _server_config
from gateway.core.model import Database, Token
from gateway.core.rights import RIGHTS
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("no_settings")


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def assert_refused(result: Result, status: int, *words: str) -> None:
    """Refused with this exit status and a reason that has these words; no traceback, and nothing on stdout."""
    assert (result.exit_code, result.stdout) == (status, "")
    assert isinstance(result.exception, SystemExit)
    reason = result.stderr.partition("Error: ")[2]
    assert [word for word in words if word not in reason] == []
    assert status == 2 or len(result.stderr.splitlines()) == 1


def on_store(url: str, work: Callable[[Store], Any]) -> Any:
    async def opened() -> Any:
        store = await open_store(url, create=True)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(opened())


def databases(url: str) -> list[Database]:
    return on_store(url, lambda store: store.databases())


def tokens(url: str) -> list[Token]:
    return on_store(url, lambda store: store.tokens())


# --- databases ---

FIELDS = {
    "type": "object",
    "properties": {
        "card": {"type": "string", "pattern": "^[0-9]{4}$", "x-identifier": True},
        "number": {"type": "integer", "x-identifier": True},
        "visits": {"type": "integer", "x-identifier": False},
        "anything": True,
    },
}


def test_makes_a_database_as_it_was_described(run: Run, url: str, tmp_path: Path) -> None:
    file = tmp_path / "fields.json"
    file.write_text(json.dumps(FIELDS))
    done(run("database create --id 7 --closed --company-id acme --fields", str(file), "--name", "Loyal people"))
    assert databases(url) == [Database(7, "Loyal people", True, FIELDS, "acme")]


def test_creates_an_open_database_without_fields_by_default(run: Run, url: str) -> None:
    done(run("database create --id 7 --name plain"))
    assert databases(url) == [Database(7, "plain")]


def test_lists_databases_as_a_table(run: Run) -> None:
    done(run("database create --id 7 --name seven --closed"))
    done(run("database create --id 12 --name twelve --company-id acme"))
    head, seven, twelve = done(run("database list")).splitlines()
    assert head.split() == ["id", "name", "closed", "company_id", "fields", "resources", "segments"]
    assert seven.split() == ["7", "seven", "yes", "-", "-", "-", "-"]
    assert twelve.split() == ["12", "twelve", "no", "acme", "-", "-", "-"]
    assert head.index("name") == seven.index("seven") == twelve.index("twelve")


def test_lists_databases_as_json(run: Run) -> None:
    done(run("database create --id 7 --name seven"))
    [row] = json.loads(done(run("database list --json")))
    assert (row["id"], row["name"], row["closed"], row["company_id"]) == (7, "seven", False, None)


def test_prints_a_database_with_all_its_parts(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fields.json"
    file.write_text(json.dumps(FIELDS))
    done(run("database create --id 7 --name seven --fields", str(file)))
    done(run("resource create --database 7 --id 2 --name shop --category new --category sale"))
    done(run("segment create --database 7 --id 3 --name vip"))
    text = done(run("database show 7"))
    assert [word for word in ("seven", "card", "^[0-9]{4}$", "shop", "new, sale", "vip") if word not in text] == []
    shown = json.loads(done(run("database show 7 --json")))
    assert shown["fields"] == FIELDS
    shop = {"id": 2, "name": "shop", "categories": ["new", "sale"], "fields": {}}
    assert shown["resources"]["2"] == {**shop, "token_hash": None, "public_key": None}
    vip = {"id": 3, "name": "vip"}
    rest = {"created": None, "updated": None, "is_double_opt_in": False, "preferences": {}, "archived": None}
    assert shown["segments"]["3"] == {**vip, **rest}


def test_refuses_to_print_an_unknown_database(run: Run) -> None:
    done(run("database create --id 8 --name eight"))
    assert_refused(run("database show 7"), 1, "there is no database 7")


@pytest.mark.parametrize("again", ["--id 7 --name other", "--id 8 --name other --company-id acme"])
def test_refuses_a_database_whose_id_or_company_id_exists(run: Run, url: str, again: str) -> None:
    done(run("database create --id 7 --name seven --company-id acme"))
    assert_refused(run(f"database create {again}"), 1, "the id", "or the company id is another database's")
    assert [database.name for database in databases(url)] == ["seven"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "JSON Schema of an object"),
        ("{}", "JSON Schema of an object"),
        ('{"type": "object"}', '"properties"'),
        ('{"type": "array", "properties": {}}', "JSON Schema of an object"),
        ('{"type": "object", "properties": []}', "$.properties"),
        ('{"type": "object", "properties": {"age": {"type": "integr"}}}', "$.properties.age.type"),
        ('{"type": "object", "properties": {"age": {"minimum": "1"}}}', "$.properties.age.minimum"),
        ('{"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}', "back to itself"),
        ('{"type": "object", "properties": {"zip": {"pattern": "("}}}', "$.properties.zip.pattern"),
        ('{"type": "object", "properties": {"zip": {"pattern": "(?=a)b"}}}', "$.properties.zip.pattern"),
        ('{"type": "object", "properties": {"zip": {"$ref": "http://127.0.0.1:9/zip"}}}', "inside the file"),
        ('{"type": "object", "properties": {"zip": {"$ref": "#/$defs/zip"}}}', "/$defs/zip"),
        ('{"type": "object", "properties": {"card": {"type": "number", "x-identifier": true}}}', "$.properties.card"),
        ('{"type": "object", "properties": {"card": {"x-identifier": true}}}', "$.properties.card"),
        ('{"type": "object", "properties": {"card": {"type": "string", "x-identifier": "yes"}}}', "$.properties.card"),
        ('{"type": "object", "properties": {"_fname": {"type": "integer"}}}', "$.properties._fname"),
        ('{"type": "object", "properties": {"subscriptions": {"type": "string"}}}', "$.properties.subscriptions"),
        ('{"type": "object", "properties": {"card": {"type": "string", "x-identifer": true}}}', '"x-identifer"'),
        ('{"type": "object", "properties": {"card": {"type": "string", "x_identifier": true}}}', '"x_identifier"'),
    ],
)
def test_refuses_fields_that_declare_nothing_usable(run: Run, url: str, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "fields.json"
    file.write_text(text)
    assert_refused(run("database create --id 7 --name seven --fields", str(file)), 2, "--fields", str(file), words)
    assert databases(url) == []


def test_refuses_all_that_is_wrong_with_fields_at_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fields.json"
    file.write_text('{"type": "object", "properties": {"a": {"type": 1}, "b": {"minLength": -1}}}')
    refused = run("database create --id 7 --name seven --fields", str(file))
    assert_refused(refused, 2, "$.properties.a.type", "$.properties.b.minLength")


def test_refuses_fields_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    assert_refused(run("database create --id 7 --name seven --fields", str(tmp_path / "none.json")), 2, "none.json")


@pytest.mark.parametrize("id", ["0", "-1", "x", str(2**53)])
def test_refuses_an_id_that_no_client_could_send(run: Run, id: str) -> None:
    assert_refused(run("database create --name seven --id", id), 2, "--id")


# --- tokens ---


def test_prints_a_token_last_and_keeps_its_hash_alone(run: Run, url: str, tmp_path: Path) -> None:
    done(run("database create --id 7 --name seven"))
    secret = done(run("token create --database 7")).splitlines()[-1]
    [token] = tokens(url)
    assert re.fullmatch(r"[\w-]{43}", secret)
    assert token.hash == sha256(secret.encode()).hexdigest()
    assert (token.database, token.rights, token.revoked) == (7, {*RIGHTS}, False)
    assert [path for path in tmp_path.iterdir() if secret.encode() in path.read_bytes()] == []


def test_makes_another_token_each_time(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    secrets = {done(run("token create --database 7")).splitlines()[-1] for _ in range(3)}
    assert len(secrets) == len({token.id for token in tokens(url)}) == 3


def test_gives_a_token_the_rights_that_are_named_and_no_others(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    done(run("token create --database 7 --right read --right write"))
    assert tokens(url)[0].rights == {"read", "write"}


def test_binds_a_token_to_a_user_of_whom_it_keeps_a_hash(run: Run, url: str, tmp_path: Path) -> None:
    done(run("database create --id 7 --name seven"))
    printed = done(run("token create --database 7 --user ann@example.com --right write"))
    done(run("token create --database 7 --user bob@example.com"))
    done(run("token create --database 7"))
    ann, bob, other = tokens(url)
    assert "may own_write in database 7" in printed
    assert (ann.user_hash, ann.rights) == (sha256(b"ann@example.com").hexdigest(), {"own_write"})
    assert (bob.rights, other.user_hash) == ({"own_read", "own_write"}, None)
    assert [path for path in tmp_path.iterdir() if b"ann@example.com" in path.read_bytes()] == []
    listed = json.loads(done(run("token list --user ann@example.com --json")))
    assert [row["id"] for row in listed] == [ann.id]


def test_a_token_of_a_user_has_no_right_over_others(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    for right in ("delete", "deliver", "console"):
        assert_refused(run(f"token create --database 7 --user ann --right write --right {right}"), 2, "--right", "read")
    assert_refused(run("token create --database 7 --user", ""), 2, "--user", "empty")
    assert tokens(url) == []


def test_refuses_a_right_that_does_not_exist(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    assert_refused(run("token create --database 7 --right admin"), 2, "--right", "admin")
    assert tokens(url) == []


def test_lists_tokens_by_their_public_names(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    secret = done(run("token create --database 7 --right read")).splitlines()[-1]
    [token] = tokens(url)
    for listing in (done(run("token list")), done(run("token list --json"))):
        assert token.id in listing
        assert secret not in listing
        assert token.hash not in listing
    [row] = json.loads(done(run("token list --json")))
    assert (row["database"], row["rights"], row["revoked"]) == (7, ["read"], False)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", row["created"])


def test_revokes_a_token_and_only_that(run: Run, url: str) -> None:
    done(run("database create --id 7 --name seven"))
    for _ in range(2):
        done(run("token create --database 7"))
    first, second = tokens(url)
    done(run("token revoke", first.id))
    assert {token.id: token.revoked for token in tokens(url)} == {first.id: True, second.id: False}


def test_renames_a_token(run: Run, url: str) -> None:
    done(run("database create --id 9 --name nine"))
    done(run("token create --database 9 --name old"))
    [token] = tokens(url)
    done(run("token rename", token.id, "Кассы"))
    assert tokens(url) == [replace(token, name="Кассы")]


def test_refuses_to_revoke_a_token_that_is_not_there(run: Run) -> None:
    done(run("database create --id 8 --name eight"))
    assert_refused(run("token revoke nothing"), 1, "there is no token nothing")
    assert_refused(run("token rename nothing new"), 1, "there is no token nothing")


# --- what belongs to a database ---


@pytest.mark.parametrize(
    "command", ["token create", "resource create --id 1 --name one", "segment create --id 1 --name one"]
)
def test_refuses_what_belongs_to_a_database_that_is_not_there(run: Run, command: str) -> None:
    done(run("database create --id 8 --name eight"))
    assert_refused(run(f"{command} --database 7"), 1, "there is no database 7")


@pytest.mark.parametrize("kind", ["resource", "segment"])
def test_refuses_a_resource_or_segment_whose_id_exists(run: Run, url: str, kind: str) -> None:
    done(run("database create --id 7 --name seven"))
    done(run(f"{kind} create --database 7 --id 1 --name first"))
    assert_refused(run(f"{kind} create --database 7 --id 1 --name second"), 1, f"database 7 has a {kind} 1 already")
    [database] = databases(url)
    assert {"resource": database.resources, "segment": database.segments}[kind][1].name == "first"


def test_keeps_the_fields_of_a_resource(run: Run, url: str, tmp_path: Path) -> None:
    file = tmp_path / "fields.json"
    file.write_text(json.dumps(FIELDS))
    done(run("database create --id 7 --name seven"))
    done(run("resource create --database 7 --id 1 --name one --fields", str(file)))
    assert databases(url)[0].resources[1].fields == FIELDS


# --- settings and stores ---


def test_a_flag_names_another_store_than_the_environment(run: Run, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    done(run("database create --id 7 --name seven --store", other))
    assert [database.id for database in databases(other)] == [7]
    assert_refused(run("database list"), 1, "there is no such store")


def commands_on_a_store(group: click.Group, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield every command that has the option --store and creates no store, with an argument for each required one."""
    for name, command in group.commands.items():
        words = (*names, name)
        if isinstance(command, click.Group):
            yield from commands_on_a_store(command, *words)
        elif any(each.name == "store" for each in command.params) and words not in CREATING:
            for each in command.params:
                if each.required:
                    words += ("7",) if isinstance(each, click.Argument) else (each.opts[0], "7")
            if name == "update" and "--name" not in words:
                words += ("--name", "7")  # an update of nothing is refused before the store is opened
            yield words


CREATING = (("serve",), ("load",), ("database", "create"), ("doctor",))
"""The commands that create a store, or report that there is none."""


@pytest.mark.parametrize("words", [*commands_on_a_store(main)], ids=" ".join)
def test_creates_no_store_that_is_not_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(" ".join(words))
    if result.exit_code != 2:  # "7" is no value of some options, which are read first
        assert_refused(result, 1, "gateway.db: there is no such store")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [*commands_on_a_store(main), ("serve",)], ids=" ".join)
@pytest.mark.parametrize("url", ["memory:", "sqlite:///:memory:"])
def test_refuses_a_store_in_memory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(" ".join(words), "--store", url)
    assert (result.exit_code in (1, 2), result.stdout) == (True, "")
    assert list(tmp_path.iterdir()) == []


def test_refuses_the_file_of_another_program(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_bytes(b"")
    for command in ("database list", "database create --id 7 --name seven", "serve --port 0"):
        assert_refused(run(command), 1, "gateway.db: the file is no store of Profile Gateway")
    assert (tmp_path / "gateway.db").read_bytes() == b""


@pytest.mark.parametrize("command", ["serve", "database list", "token list"])
def test_refuses_a_store_of_an_unknown_kind(run: Run, command: str) -> None:
    assert_refused(run(f"{command} --store oracle://db"), 2, "oracle")


@pytest.mark.parametrize("command", ["serve", "database create --id 7 --name seven", "load -"])
@pytest.mark.parametrize("url", ["memory:", "sqlite:///:memory:", "sqlite:///%3Amemory%3A"])
def test_refuses_to_create_a_store_in_memory(run: Run, command: str, url: str) -> None:
    assert_refused(run(f"{command} --store {url}"), 2, "memory")


@pytest.mark.parametrize(("flag", "text"), [("--port", "abc"), ("--port", "65536"), ("--workers", "many")])
def test_rejects_an_invalid_flag_by_its_name(run: Run, flag: str, text: str) -> None:
    assert_refused(run(f"serve {flag} {text}"), 2, f"'{flag}'")


@pytest.mark.parametrize("store", ["a#b.db", "gateway.db", "sqlite:///a#b.db", "sqlite:///a?b.db"])
def test_explains_how_to_write_a_mistyped_store(run: Run, tmp_path: Path, monkeypatch: Any, store: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run(f"database list --store {store}"), 2, store, "use sqlite:///FILE or ")
    assert list(tmp_path.iterdir()) == []


def test_prints_what_it_created(run: Run) -> None:
    assert done(run("database create --id 7 --name seven")) == "database 7 created\n"
    assert done(run("resource create --database 7 --id 1 --name one")) == "resource 1 created in database 7\n"
    assert done(run("segment create --database 7 --id 1 --name one")) == "segment 1 created in database 7\n"


@pytest.mark.parametrize("command", ["serve --port 0", "database list"])
def test_refuses_a_store_that_cannot_be_opened(run: Run, tmp_path: Path, command: str) -> None:
    assert_refused(run(f"{command} --store", f"sqlite:///{tmp_path}/no/such/folder/gateway.db"), 1, "folder")


@pytest.mark.parametrize("command", ["serve", "database list"])
def test_refuses_a_bad_setting_by_its_name(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("GATEWAY_WORKERS", "many")
    assert_refused(run(command), 2, "GATEWAY_WORKERS")


@pytest.mark.parametrize("content", [None, b"no MaxMind file"])
def test_refuses_to_serve_with_a_geoip_file_that_cannot_be_read(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "city.mmdb"
    if content:
        file.write_bytes(content)
    monkeypatch.setenv("GATEWAY_GEOIP", str(file))
    assert_refused(run("serve"), 2, "GATEWAY_GEOIP", str(file))


def test_refuses_to_serve_behind_proxies_that_are_no_networks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8,proxy.example")
    assert_refused(run("serve"), 2, "GATEWAY_TRUSTED_PROXIES", "proxy.example")


@pytest.mark.parametrize(("settings", "seconds"), [(Settings(), 75), (Settings(keep_alive_seconds=7), 7)])
def test_an_idle_connection_stays_open_as_long_as_the_setting(settings: Settings, seconds: int) -> None:
    assert _server_config(settings, 0).timeout_keep_alive == seconds


def commands(group: click.Group, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield path + name


@pytest.mark.parametrize("command", list(commands(main)))
def test_every_command_explains_itself_and_names_the_variable_of_its_store(run: Run, command: str) -> None:
    usage, _, purpose, *options = done(run(f"{command} --help")).splitlines()
    assert usage.startswith("Usage: ")
    assert re.match("  [A-Z]", purpose)
    option_names = "".join(options)
    assert ("GATEWAY_STORE" in option_names) == ("--store" in option_names)


def test_prints_its_version(run: Run) -> None:
    assert re.search(r"\d+\.\d+\.\d+$", done(run("--version")))


# --- the first start ---


def first_start(url: str, **settings: str) -> str | None:
    return on_store(url, lambda store: bootstrap(store, Settings(**settings), now=5))


def test_an_empty_store_gets_a_database_and_a_random_token(url: str) -> None:
    secret = first_start(url, bootstrap_company_id="acme")
    [database] = databases(url)
    [token] = tokens(url)
    assert (database.id, database.name, database.closed, database.company_id) == (1, "default", False, "acme")
    assert database.fields["properties"] == {"customer_id": {"type": "string", "x-identifier": True}}
    assert secret is not None
    assert token == Token(token.id, sha256(secret.encode()).hexdigest(), 1, frozenset(RIGHTS), 5)


def test_an_empty_store_gets_the_token_of_the_settings(url: str) -> None:
    assert first_start(url, bootstrap_token="mine") is None
    assert [(token.database, token.hash) for token in tokens(url)] == [(1, sha256(b"mine").hexdigest())]


@pytest.mark.parametrize("settings", [{}, {"bootstrap_token": "mine"}])
def test_a_second_start_changes_nothing(url: str, settings: dict[str, str]) -> None:
    first_start(url, **settings)
    before = databases(url), tokens(url)
    assert first_start(url, **settings) is None
    assert (databases(url), tokens(url)) == before


def test_a_token_that_the_settings_name_later_is_added_to_database_1(url: str) -> None:
    first_start(url)
    assert first_start(url, bootstrap_token="mine") is None
    assert sha256(b"mine").hexdigest() in [token.hash for token in tokens(url)]


def test_a_revoked_token_of_the_settings_stays_revoked(run: Run, url: str) -> None:
    first_start(url, bootstrap_token="mine")
    done(run("token revoke", tokens(url)[0].id))
    first_start(url, bootstrap_token="mine")
    assert [token.revoked for token in tokens(url)] == [True]


def test_a_store_of_other_databases_is_unchanged_and_the_unused_token_is_reported(
    run: Run, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    done(run("database create --id 7 --name seven"))
    with caplog.at_level(logging.WARNING):
        assert first_start(url, bootstrap_token="mine") is None
    assert [database.id for database in databases(url)] == [7]
    assert tokens(url) == []
    assert "GATEWAY_BOOTSTRAP_TOKEN is not used" in caplog.text


class StoreWithBarrier:
    """A store that lets nobody go on from `databases` until everybody has seen the same."""

    def __init__(self, store: Store, barrier: asyncio.Barrier) -> None:
        self.store, self.barrier = store, barrier

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def databases(self) -> list[Database]:
        found = await self.store.databases()
        await self.barrier.wait()
        return found


@pytest.mark.parametrize("settings", [Settings(), Settings(bootstrap_token="mine")])
def test_starts_at_the_same_moment_make_one_database_and_one_token(url: str, settings: Settings) -> None:
    async def together() -> list[str | None]:
        barrier = asyncio.Barrier(3)
        stores = [await open_store(url, create=True) for _ in range(3)]
        try:
            return await asyncio.gather(*(bootstrap(StoreWithBarrier(it, barrier), settings, now=5) for it in stores))
        finally:
            for store in stores:
                await store.close()

    secrets = [secret for secret in asyncio.run(together()) if secret]
    assert [token.hash for token in tokens(url)] == [
        sha256(secret.encode()).hexdigest() for secret in secrets or ["mine"]
    ]
    assert len(databases(url)) == 1


# --- serve, as a process ---


class Server:
    """`profile-gateway serve` on a free port, not on a terminal."""

    def __init__(self, url: str, *flags: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", "0", "--store", url, *flags],
            env=os.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.log = ""
        assert self.process.stderr
        while not (found := re.search(r"running on (http://\S+)", self.log)):
            line = self.process.stderr.readline()
            assert line, f"it stopped: {self.log}"
            self.log += line
        self.address = found[1]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        self.log += err
        assert self.process.returncode in (0, -signal.SIGTERM)
        return out


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(url: str, *flags: str, **environ: str) -> Server:
        servers.append(Server(url, *flags, **environ))
        return servers[-1]

    yield start
    for server in servers:
        with suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)  # its workers too, which would hold its output open
        server.process.communicate()


def get(url: str) -> httpx.Response:
    """Retries the connection: workers begin to listen a moment after their parent says so."""
    with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
        return client.get(url)


def sent(curl: str) -> httpx.Response:
    """Send what a `curl URL -H HEADER … -d BODY` sends."""
    command, url, *options = shlex.split(curl)
    pairs = list(zip(options[::2], options[1::2], strict=True))
    assert command == "curl"
    assert {option for option, _ in pairs} == {"-H", "-d"}
    headers = dict(value.split(": ") for option, value in pairs if option == "-H")
    return httpx.post(url, headers=headers, content=dict(pairs)["-d"])


def printed_on_a_terminal(url: str) -> str:
    """Start on a terminal, stop, and return what was printed there."""
    terminal, stderr = pty.openpty()
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--store", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as process:
        os.close(stderr)
        printed = b""
        with suppress(OSError):  # the end of the terminal
            while received := os.read(terminal, 65_536):
                printed += received
                if b"running on" in printed:
                    process.terminate()
    os.close(terminal)
    return printed.decode().replace("\r\n", "\n")


def curls_in(text: str) -> list[str]:
    return re.findall("^ *(curl .*)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serves_and_stops_on_sigterm(serving: Callable[..., Server], url: str, workers: str) -> None:
    server = serving(url, "--workers", workers)
    assert get(f"{server.address}/healthz").status_code == 200
    assert server.stop() == ""
    curls = curls_in(server.log)
    assert len(curls) == 4
    assert all(server.address in curl for curl in curls)
    assert "Traceback" not in server.log
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.address}/healthz")


def no_longer_listens(address: str) -> bool:
    for _ in range(200):
        try:
            httpx.get(f"{address}/healthz")
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            time.sleep(0.05)
    return False


def test_requests_in_flight_at_sigterm_get_their_responses(serving: Callable[..., Server], url: str) -> None:
    server = serving(url, GATEWAY_BOOTSTRAP_TOKEN="mine")
    body = b'{"token": "mine", "db_id": 1, "data": {"email": "olly@example.com"}}'
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"POST /api/v1.1/profiles/import HTTP/1.1\r\nHost: gateway\r\n")
        client.sendall(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body[:10]))
        assert get(f"{server.address}/healthz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert no_longer_listens(server.address)
        client.sendall(body[10:])
        assert client.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_client_is_reset_at_sigterm(serving: Callable[..., Server], url: str, workers: str) -> None:
    """Whoever connects under load, until nobody listens any more, is answered or refused."""
    server = serving(url, "--workers", workers)
    assert get(f"{server.address}/healthz").status_code == 200
    with ThreadPoolExecutor(16) as clients:
        heard = [clients.submit(responses_until_the_port_is_closed, server.address) for _ in range(16)]
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        answers = [answer for each in heard for answer in each.result(20)]
    assert len(answers) > 100
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers), answers


def responses_until_the_port_is_closed(address: str) -> list[bytes]:
    """Each on a connection of its own; a reset is an answer of its own kind."""
    host, port = address.removeprefix("http://").split(":")
    answers = []
    while True:
        try:
            connection = socket.create_connection((host, int(port)), 10)
        except ConnectionRefusedError:
            return answers
        with connection:
            try:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
                answers.append(connection.recv(65_536))
            except ConnectionError as error:
                answers.append(repr(error).encode())


def test_workers_stop_when_their_parent_is_killed(serving: Callable[..., Server], url: str) -> None:
    server = serving(url, "--workers", "2")
    assert get(f"{server.address}/healthz").status_code == 200
    server.process.kill()
    server.process.communicate(timeout=20)  # the workers hold its output open
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.address}/healthz")


def test_the_printed_examples_succeed(serving: Callable[..., Server], url: str) -> None:
    curls = curls_in(printed_on_a_terminal(url))
    server = serving(url)
    answers = [sent(re.sub(r"http://[\d.]+:\d+", server.address, curl)) for curl in curls]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
    assert f"<profile_id>{answers[1].json()['profile_id']}</profile_id>" in answers[0].text
    assert answers[2].json() == {"status": "SUCCESS"}


def test_reports_once_at_start_that_there_is_no_geo_file(serving: Callable[..., Server], url: str) -> None:
    server = serving(url, "--workers", "2")
    server.stop()
    assert server.log.count("GATEWAY_GEOIP is not set") == 1


TOKEN_LINE = "Token of database 1, printed only now: "


def test_a_new_token_is_printed_once_and_only_on_a_terminal(serving: Callable[..., Server], url: str) -> None:
    first, second = printed_on_a_terminal(url), printed_on_a_terminal(url)
    [secret] = re.findall(f"^{TOKEN_LINE}(.+)$", first, flags=re.MULTILINE)
    assert [token.hash for token in tokens(url)] == [sha256(secret.encode()).hexdigest()]
    assert TOKEN_LINE not in second
    server = serving(f"{url}-2")
    assert server.stop() == ""
    assert TOKEN_LINE not in server.log
    assert "profile-gateway token create --database 1" in server.log
    assert tokens(f"{url}-2") == []


def test_a_given_token_is_never_printed(serving: Callable[..., Server], url: str) -> None:
    server = serving(url, GATEWAY_BOOTSTRAP_TOKEN="mine-and-secret")
    assert server.stop() == ""
    assert "the value of GATEWAY_BOOTSTRAP_TOKEN" in server.log
    assert "mine-and-secret" not in server.log


def test_a_start_names_version_store_and_documentation(serving: Callable[..., Server], url: str) -> None:
    server = serving(url)
    server.stop()
    lines = server.log.splitlines()
    assert lines[:3] == [
        f"Profile Gateway {version('profile-gateway')}",
        f"Store: {url}",
        f"Documentation: {server.address}/docs",
    ]


def test_commands_work_while_the_server_runs(serving: Callable[..., Server], run: Run, url: str) -> None:
    serving(url)
    done(run("database create --id 7 --name seven"))
    assert [database.id for database in databases(url)] == [1, 7]


def test_refuses_a_port_in_use_before_it_creates_a_token(run: Run, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_refused(run("serve --port", port), 1, port, "in use")
    assert tokens(url) == []


def test_refuses_a_host_that_is_not_this_machine(run: Run) -> None:
    assert_refused(run("serve --port 0 --host 192.0.2.1"), 1, "192.0.2.1")


def test_seeds_what_fields_refer_to(run: Run, tmp_path: Path) -> None:
    fields = {
        "type": "object",
        "properties": {"size": {"$ref": "#/$defs/size"}, "sizes": {"type": "array", "items": {"$ref": "#/$defs/size"}}},
        "$defs": {"size": {"type": "integer", "minimum": 1}},
    }
    (tmp_path / "fields.json").write_text(json.dumps(fields))
    done(run("database create --id 5 --name refs --fields", str(tmp_path / "fields.json")))
    shown = json.loads(done(run("database show 5 --json")))
    size = {"type": "integer", "minimum": 1}
    assert shown["fields"]["properties"] == {"size": size, "sizes": {"type": "array", "items": size}}
