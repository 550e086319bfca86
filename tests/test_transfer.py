"""Dumps: their content, the same from every engine; where an interrupted one continues; what a load rejects."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from gateway.cli.main import main
from gateway.core.model import (
    Created,
    Database,
    EditResult,
    IdempotencyKey,
    Job,
    JournalEntry,
    MemberChange,
    Origin,
    Profile,
    Resource,
    StoredAnswer,
    Token,
    Write,
)
from gateway.core.segments import Segment
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.transfer import (
    DumpComplete,
    DumpPosition,
    ExistingProfiles,
    InvalidLine,
    Loader,
    RowConflict,
    dump_lines,
    find_position,
)
from tests.stores import change
from tests.stores.urls import ENGINES, empty_store_url

FIELDS = {"type": "object", "properties": {"card": {"type": "string", "x-identifier": True}}}
SEGMENTS = {
    5: Segment(5, "vip", 10, 20, True),
    "é\x00": Segment("é\x00", "old", preferences={"categories": {"c": {}}}, archived=30),
}
ONE = Database(1, "one", False, FIELDS, "demo", {7: Resource(7, "news", ("a", "b"))}, SEGMENTS)
TWO = Database(2, "Два", closed=True)
TOKEN = Token("t1", "hash 1", 1, frozenset({"write", "read"}), 1000)
ANN = Profile("a", {"email": "Ann@Example.com", "custom": {"card": "7", "n": 1.0, "long": 2**63 - 1}}, 3, 10, 20)
BOB = Profile("b", {"phone_numbers": ["+7 951 105-90-00"], "custom": {"имя": "\u2028", "": [None, {}]}}, 1, 5, 5)
MEMBERS = (
    MemberChange("", {"n": 1.0}, {"n": 1, "long": 2**63 - 1}),
    MemberChange("/x", after="\u2028"),
    MemberChange("/subscriptions", after=[{"status": "suspended"}], is_stored=False),
)
ENTRIES = [
    JournalEntry(0, 1, "a", n, "update", Origin("t1", "altcraft", 100 + n // 3, n > 2, "r", 99), MEMBERS)
    for n in range(1, 8)
]
RECORDS = [
    Job("j", 3, 2, 1, ("a",), ({"index": 0, "sent": {"b": 1, "a": None}},), (5, "x"), "other"),
    *ENTRIES,
    StoredAnswer(IdempotencyKey("/k", "f", 9), None),
    StoredAnswer(IdempotencyKey("/n", "g", 9), Created("b", {"custom": {}}, 1, 5, 5)),
]


async def filled_store(url: str) -> Store:
    """Return a store with rows of every kind."""
    store = await open_store(url, create=True)
    for database in (ONE, TWO):
        await store.add_database(database)
    await store.add_token(TOKEN)
    own = frozenset({"own_read"})
    await store.add_token(Token("t2", "hash 2", 2, own, 999, revoked=True, user_hash="hash of bob"))
    for database, profiles in ((1, (BOB, ANN)), (2, (structs.replace(ANN, document={}),))):
        writes = tuple(Write(None, profile, members=None) for profile in profiles)
        await store.change([change(lambda _, writes=writes: EditResult(None, writes), database=database)])
    await store.restore(1, RECORDS)
    await store.restore(2, [structs.replace(ENTRIES[0], database=2)])
    return store


async def dump_of(store: Store, position: DumpPosition | None = None) -> bytes:
    async with store.snapshot() as snapshot:
        return b"".join([line async for line in dump_lines(store, snapshot, position)])


async def load(
    store: Store, dump: bytes, existing: ExistingProfiles = ExistingProfiles.REFUSE, *, force: bool = False
) -> Loader:
    loader = Loader(store, existing, force=force)
    await loader.load(BytesIO(dump), lambda _: None)
    return loader


@pytest.fixture(scope="module")
def dump() -> bytes:
    async def make() -> bytes:
        return await dump_of(await filled_store("memory:"))

    return asyncio.run(make())


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each engine."""
    return empty_store_url(request.param, tmp_path)


def run_with_store(url: str, work: Callable[[Store], Any]) -> Any:
    async def open_and_run() -> Any:
        store = await open_store(url, create=True)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(open_and_run())


# The content of a dump


def test_a_dump_has_every_row_in_order(dump: bytes) -> None:
    lines = [json.loads(line) for line in dump.splitlines()]
    kinds = [(line["kind"], line.get("database")) for line in lines]
    assert kinds == [
        ("dump", None),
        *[("database", 1), ("token", 1), ("profile", 1), ("profile", 1), ("job", 1)],
        *[("journal", 1)] * 7,
        *[("answer", 1)] * 2,
        *[("database", 2), ("token", 2), ("profile", 2), ("journal", 2)],
        ("end", None),
    ]
    assert [line["id"] for line in lines if line["kind"] == "profile"] == ["a", "b", "a"]
    assert lines[3] == {"kind": "profile", "database": 1, "id": "a", "document": ANN.document} | {
        "version": 3,
        "created": 10,
        "updated": 20,
    }
    assert lines[2]["rights"] == ["read", "write"]
    assert lines[-1] == {"kind": "end", "lines": 19}


def test_the_same_from_and_into_every_engine(url: str, dump: bytes) -> None:
    async def there_and_back(store: Store) -> None:
        loader = await load(store, dump)
        assert (loader.lines, loader.new) == (20, 18)
        assert await dump_of(store) == dump
        assert (await load(store, dump)).new == 0
        assert await dump_of(store) == dump

    run_with_store(url, there_and_back)


def test_loaded_profiles_are_found(url: str, dump: bytes) -> None:
    async def found(store: Store) -> None:
        await load(store, dump)
        assert await store.find(1, [("email", "ann@example.com")]) == [ANN]
        assert await store.find(1, [("custom/card", "7")]) == [ANN]
        assert await store.find(1, [("phone", "+79511059000")]) == [BOB]
        assert await store.databases() == [ONE, TWO]

    run_with_store(url, found)


# Resuming


@pytest.mark.parametrize("torn", [True, False])
def test_continues_wherever_it_was_interrupted(dump: bytes, torn: bool, tmp_path: Path) -> None:
    async def each() -> None:
        store, file = await filled_store("memory:"), tmp_path / "dump"
        ends = [number + 1 for number, sign in enumerate(dump) if sign == ord("\n")]
        for end in [0, *ends[:-1]]:
            file.write_bytes(dump[: end + 20 * torn])
            with file.open("r+b") as output:
                output.write(await dump_of(store, find_position(output)))
            assert file.read_bytes() == dump, end

    asyncio.run(each())


def test_a_whole_dump_is_complete(dump: bytes, tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(dump)
    with (tmp_path / "dump").open("r+b") as output, pytest.raises(DumpComplete):
        find_position(output)


@pytest.mark.parametrize("content", [b"photo", b"{}\n", b'{"kind":"dump","format":4}\n', b'{"kind":"dump"}\n' * 9])
def test_does_not_continue_another_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(content)
    with (tmp_path / "dump").open("r+b") as output, pytest.raises(InvalidLine):
        find_position(output)
    assert (tmp_path / "dump").read_bytes() == content


def test_an_interrupted_load_is_completed_by_loading_again(url: str, dump: bytes) -> None:
    async def again(store: Store) -> None:
        lines = dump.splitlines(keepends=True)
        for count in range(1, len(lines)):
            with pytest.raises(InvalidLine, match=rf"line {count + 1}: it is missing"):
                await load(store, b"".join(lines[:count]))
        assert (await load(store, dump)).new == 0
        assert await dump_of(store) == dump

    run_with_store(url, again)


# What a load rejects


def with_members(dump: bytes, line: int, **members: Any) -> bytes:
    lines = dump.splitlines(keepends=True)
    tree = {**json.loads(lines[line - 1]), **members}
    lines[line - 1] = json.dumps({name: value for name, value in tree.items() if value != "absent"}).encode() + b"\n"
    return b"".join(lines)


def remove_line(dump: bytes, line: int) -> bytes:
    lines = dump.splitlines(keepends=True)
    return b"".join(lines[: line - 1] + lines[line:])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "line 1: it is missing"),
        (lambda _: b"photo", "line 1: expected value"),
        (lambda dump: with_members(dump, 1, format=4), "line 1: Invalid enum value 4"),
        (lambda dump: remove_line(dump, 1), "line 1: the first line of a dump"),
        (lambda dump: dump.replace(b'"version":3', b'"version":3,"version":3'), 'line 4: Detected duplicate key "vers'),
        (lambda dump: dump.replace(b"}\n", b"\n"), "line 1: EOF"),
        (lambda dump: with_members(dump, 4, kind="photo"), "line 4: Invalid value 'photo'"),
        (lambda dump: with_members(dump, 4, version="3"), r"line 4: Expected `int`, got `str` - at `\$.version`"),
        (lambda dump: with_members(dump, 4, version=True), r"line 4: Expected `int`, got `bool`"),
        (lambda dump: with_members(dump, 4, created="absent"), "line 4: Object missing required field `created`"),
        (lambda dump: with_members(dump, 4, more=1), "line 4: Object contains unknown field `more`"),
        (lambda dump: with_members(dump, 4, document={"email": 1}), "line 4: /email: 1 is not of type string"),
        (
            lambda dump: with_members(dump, 4, document={"custom": {"card": 7}}),
            "line 4: /custom/card: 7 is not of type",
        ),
        (
            lambda dump: with_members(dump, 4, document={"custom": {"n": 2**64}}),
            "line 4: Integer exceeds 64-bit range",
        ),
        (lambda dump: with_members(dump, 4, document={"custom": {"n": "\ud800"}}), "line 4: "),
        (lambda dump: with_members(dump, 18, document={"custom": {"n": 1}}), "line 18: /custom/n"),
        (lambda dump: with_members(dump, 4, database=2), "line 4: it is not among the lines of database 2"),
        (lambda dump: remove_line(dump, 2), "line 2: it is not among the lines of database 1"),
        (lambda dump: with_members(dump, 2, fields={"type": "string"}), r"line 2: \$: expected a JSON Schema"),
        (lambda dump: with_members(dump, 3, rights=["reign"]), "line 3: Invalid enum value 'reign'"),
        (lambda dump: remove_line(dump, 5), "line 19: 19 lines were dumped, and 18 are before it"),
        (lambda dump: dump + dump, "line 21: the dump has ended before it"),
        (lambda dump: dump[:-9], "line 20: EOF"),
    ],
)
def test_an_invalid_line_is_named(dump: bytes, damage: Callable[[bytes], bytes], reason: str) -> None:
    async def check(store: Store) -> None:
        with pytest.raises(InvalidLine, match=rf"^{reason}"):
            await load(store, damage(dump))
        await load(store, dump)
        assert await dump_of(store) == dump

    run_with_store("memory:", check)


def test_force_loads_own_fields_that_are_invalid_and_no_other(dump: bytes) -> None:
    async def check(store: Store) -> None:
        with pytest.raises(InvalidLine, match=r"^line 4: /email: 1 is not of type string$"):
            await load(store, with_members(dump, 4, document={"email": 1, "custom": {"card": 7}}), force=True)
        invalid = with_members(dump, 4, document={"custom": {"card": 7}})
        await load(store, invalid, force=True)
        assert json.loads((await dump_of(store)).splitlines()[3])["document"] == {"custom": {"card": 7}}

    run_with_store("memory:", check)


def test_a_token_keeps_the_name_that_it_was_given_since_the_dump(dump: bytes) -> None:
    async def check(store: Store) -> None:
        await load(store, dump)
        await store.rename_token("t1", "other")
        await load(store, dump)
        assert {each.id: each.name for each in await store.tokens()}["t1"] == "other"

    run_with_store("memory:", check)


def test_a_profile_that_differs_is_refused_kept_or_replaced(url: str, dump: bytes) -> None:
    async def each(store: Store) -> None:
        await load(store, dump)
        other = with_members(dump, 4, document={"email": "anna@example.com"}, version=9)
        with pytest.raises(RowConflict, match=r"^line 4: profile a is there already, and differs"):
            await load(store, other)
        assert (await load(store, other, ExistingProfiles.KEEP)).new == 0
        assert await dump_of(store) == dump
        assert (await load(store, other, ExistingProfiles.REPLACE)).new == 1
        assert [each.version for each in await store.find(1, [("email", "anna@example.com")])] == [9]
        assert await store.find(1, [("email", "ann@example.com"), ("custom/card", "7")]) == []
        assert (await load(store, dump, ExistingProfiles.REPLACE)).new == 1
        assert await dump_of(store) == dump

    run_with_store(url, each)


def test_true_is_not_1_and_1_is_not_1_point_0(dump: bytes) -> None:
    async def each(store: Store) -> None:
        await load(store, dump)
        for number in (1, True):
            custom = {**ANN.document["custom"], "n": number}
            with pytest.raises(RowConflict):
                await load(store, with_members(dump, 4, document={**ANN.document, "custom": custom}))

    run_with_store("memory:", each)


@pytest.mark.parametrize(
    ("line", "members", "reason"),
    [
        (2, {"name": "other"}, "database 1 is there already, and differs"),
        (2, {"fields": {}}, "database 1 is there already, and differs"),
        (2, {"database": 3}, "the company id demo is another database's"),
        (2, {"segments": [{"id": 5, "name": "other"}]}, "a resource or segment of database 1 is there already"),
        (3, {"rights": ["read"]}, "token t1 is there already, and differs"),
        (3, {"hash": "hash 9"}, "token t1 is there already, and differs"),
    ],
)
def test_the_registry_is_not_overwritten(dump: bytes, line: int, members: dict[str, Any], reason: str) -> None:
    async def check(store: Store) -> None:
        await load(store, dump)
        with pytest.raises(RowConflict, match=f"line {line}: {reason}"):
            await load(store, with_members(dump, line, **members), ExistingProfiles.REPLACE)
        assert await dump_of(store) == dump

    run_with_store("memory:", check)


def test_missing_resources_and_segments_are_added(dump: bytes) -> None:
    async def added(store: Store) -> None:
        await store.add_database(replace(ONE, resources={}, segments={6: Segment(6, "six")}))
        await load(store, dump)
        assert (await store.databases())[0] == replace(ONE, segments={**ONE.segments, 6: Segment(6, "six")})

    run_with_store("memory:", added)


def test_a_token_that_is_revoked_anywhere_is_revoked(dump: bytes) -> None:
    async def revoked(store: Store) -> None:
        await load(store, dump)
        await load(store, with_members(dump, 3, revoked=True))
        await load(store, dump)
        assert all(token.revoked for token in await store.tokens())

    run_with_store("memory:", revoked)


# The commands


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


WRITTEN = "20 lines written to {} (dump: 1, database: 2, token: 2, profile: 3, job: 1, journal: 8, answer: 2, end: 1)\n"


def test_the_commands_move_a_store_and_back(tmp_path: Path, dump: bytes) -> None:
    first, second = f"sqlite:///{tmp_path}/1.db", f"sqlite:///{tmp_path}/2.db"
    file = tmp_path / "dump"
    file.write_bytes(dump)
    assert run("load", "--store", first, file).stdout == "20 lines, 18 of them new\n"
    assert run("dump", "--store", first, "-").stdout_bytes == dump
    pipe = f"{sys.executable} -m gateway dump --store {first} - | {sys.executable} -m gateway load --store {second} -"
    assert subprocess.run(["bash", "-c", pipe], capture_output=True, check=True).stderr == WRITTEN.format("-").encode()
    again = run("dump", "--store", second, tmp_path / "again")
    assert (again.stdout, again.stderr) == ("", WRITTEN.format(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == dump
    assert (tmp_path / "again").stat().st_mode & 0o777 == 0o600


def test_the_commands_report_errors_in_one_line(tmp_path: Path, dump: bytes) -> None:
    store, file = f"sqlite:///{tmp_path}/1.db", tmp_path / "dump"
    file.write_bytes(with_members(dump, 4, version=0.5))
    refusals = [
        (run("load", "--store", store, file), 2, "dump, line 4: Expected `int`"),
        (run("dump", "--store", store, file), 2, "exists already: --resume"),
        (run("dump", "--store", store, "--resume", "-"), 2, "stdout"),
        (run("load", "--store", store, tmp_path / "none"), 1, "No such file"),
        (run("dump", "--store", f"sqlite:///{tmp_path}/no/1.db", tmp_path / "new"), 1, "there is no such store"),
    ]
    for result, status, reason in refusals:
        assert (result.exit_code, result.stdout) == (status, "")
        assert reason in result.stderr.splitlines()[-1]
    assert not (tmp_path / "new").exists()
    assert run("load", "--store", f"sqlite:///{tmp_path}/2.db", tmp_path / "none").exit_code == 1
    assert not (tmp_path / "2.db").exists()


def test_a_dump_that_was_interrupted_is_resumed(tmp_path: Path, dump: bytes) -> None:
    store, file = f"sqlite:///{tmp_path}/1.db", tmp_path / "dump"
    run_with_store(store, lambda store: load(store, dump))
    file.write_bytes(dump[:1000])
    assert run("dump", "--store", store, "--resume", file).exit_code == 0
    assert file.read_bytes() == dump
    again = run("dump", "--store", store, "--resume", file)
    assert (again.exit_code, again.stderr) == (0, f"{file} is complete already\n")
