"""The commands `import` and `export`: every row once, nothing lost, and the same state after export and import."""

import errno
import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.cli.main import main
from gateway.core.segments import Segment
from gateway.service.changes import GROUP_SIZE
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store
from gateway.transfer import dump_lines
from gateway.transfer.file_import import FileImport
from gateway.transfer.formats.csv import CsvWriter
from gateway.transfer.formats.json import JsonWriter
from gateway.transfer.formats.ndjson import NdjsonWriter
from gateway.transfer.formats.protocol import RowWriter
from gateway.transfer.formats.xml import XmlWriter
from tests.file_states import DATABASE, FIELDS, profiles, run_on, state
from tests.stores import postgresql

FORMATS = ("ndjson", "json", "csv", "xml")


@pytest.fixture(autouse=True)
def _environment(no_settings: None) -> None:
    """No setting of whoever runs the tests counts."""


@pytest.fixture
def store(tmp_path: Path, url: str) -> str:
    """A store with the database of these tests."""
    return create(url, tmp_path)


def create(url: str, folder: Path) -> str:
    fields = folder / "fields.json"
    fields.write_text(json.dumps(FIELDS))
    assert command(url, "database", "create", "--id", "1", "--name", "files", "--fields", str(fields)).exit_code == 0
    return url


def command(url: str, *arguments: str, input: bytes | None = None) -> Result:
    return CliRunner(env={"GATEWAY_STORE": url}).invoke(main, arguments, input=input)


def rows_of(count: int, bad: Sequence[int] = ()) -> list[dict[str, Any]]:
    return [
        {
            "email": f"user{number}@example.com",
            "_fname": 'O"Neil, "Jo"' if number % 7 == 0 else f"First {number}",
            "_sex": "x" if number in bad else "female",
            "checks": {"action": "incr", "value": 1},
            "tags": ["a", f"b{number % 3}"],
            "note": "two\nlines" if number % 5 == 0 else "",
        }
        for number in range(count)
    ]


def written(rows: Sequence[dict[str, Any]], format: str) -> bytes:
    """Return rows as a client's own program would write them."""
    columns = [f"{name}:json" if name in ("checks", "tags") else name for name in rows[0]]
    writers: dict[str, RowWriter] = {
        "ndjson": NdjsonWriter(),
        "json": JsonWriter(),
        "csv": CsvWriter(columns),
        "xml": XmlWriter({}),
    }
    writer = writers[format]
    return writer.head + b"".join(writer.row(row, index == 0) for index, row in enumerate(rows)) + writer.tail


# What is imported


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_state(format: str, store: str, tmp_path: Path) -> None:
    file = tmp_path / f"people.{format}"
    file.write_bytes(written(rows_of(300), format))
    result = command(store, "import", str(file))
    assert (result.exit_code, result.stdout) == (0, "300 rows: 300 imported, 0 refused\n")
    other = create(f"sqlite:///{tmp_path}/other.db", tmp_path)
    assert command(other, "import", "-", input=written(rows_of(300), "ndjson")).exit_code == 0
    assert state(store) == state(other)
    assert len(state(store)) == 300


def test_the_rows_of_a_file_are_carried_out_in_order(store: str) -> None:
    rows = [{"email": "ann@example.com", "checks": {"action": "incr", "value": number}} for number in range(500)]
    assert command(store, "import", "-", input=written([{**row, "tags": []} for row in rows], "ndjson")).exit_code == 0
    [ann] = profiles(store)
    assert (ann.document["custom"]["checks"], ann.version) == (sum(range(500)), 500)


def test_a_row_sees_what_the_row_before_it_freed(store: str) -> None:
    rows = [
        {"card": "1", "email": "ann@example.com"},
        {"card": "2", "email": "ann@example.com"},  # refused: it is the first one's
        {"card": "1", "email": "ann@example.org"},
        {"card": "2", "email": "ann@example.com"},
    ]
    given = b"\n".join(json.dumps(row).encode() for row in rows)
    result = command(store, "import", "--matching", "custom", "--parameter", "field_name=card", "-", input=given)
    assert result.exit_code == 1
    assert result.stdout == "4 rows: 3 imported, 1 refused\n"
    assert "line 2: " in result.stderr
    assert sorted(each.document["email"] for each in profiles(store)) == ["ann@example.com", "ann@example.org"]


def test_the_modes_of_an_import(store: str) -> None:
    row = b'{"email":"ann@example.com","_fname":"Ann"}'
    assert command(store, "import", "--mode", "update", "-", input=row).exit_code == 1
    assert command(store, "import", "-", input=row).exit_code == 0
    assert command(store, "import", "--mode", "update", "-", input=row).exit_code == 0
    taken = command(store, "import", "--mode", "add", "-", input=row)
    assert (taken.exit_code, len(profiles(store))) == (1, 1)


@pytest.mark.parametrize("rows", ["<data><_fname>Ann</_fname></data>", "<data><_><_fname>Ann</_fname></_></data>"])
def test_the_parameters_of_xml_are_used(rows: str, store: str) -> None:
    head = "<xml><token>x</token><db_id>1</db_id><matching>custom</matching><field_name>card</field_name>"
    row = rows.replace("<_fname>", "<card>7</card><_fname>")
    assert command(store, "import", "-", input=f"{head}{row}</xml>".encode()).exit_code == 0
    [ann] = profiles(store)
    assert ann.document["custom"] == {"card": "7"}
    other = command(store, "import", "-", input=b"<xml><db_id>2</db_id><data/></xml>")
    assert (other.exit_code, "for database 2: say --database 2" in other.stderr) == (2, True)


def test_rows_may_have_static_segments(store: str) -> None:
    rows = b'{"email":"ann@example.com","add_to_segments":[5]}\n{"email":"bob@example.com"}\n'
    assert command(store, "import", "-", input=rows).exit_code == 0
    assert [each.document.get("segments") for each in profiles(store) if "segments" in each.document] == [[5]]
    exported = command(store, "export", "--segment", "5", "-")
    assert [json.loads(line)["email"] for line in exported.stdout.splitlines()] == ["ann@example.com"]


def test_an_archived_segment_is_in_no_row(store: str) -> None:
    row = b'{"email":"ann@example.com","add_to_segments":[5,6]}\n'
    assert command(store, "import", "-", input=row).exit_code == 0

    async def archive(opened: Store) -> None:
        await opened.add_segment(1, Segment(5, "old", archived=1))

    run_on(store, archive)
    [exported] = command(store, "export", "-").stdout.splitlines()
    assert json.loads(exported)["add_to_segments"] == [6]
    refused = command(store, "import", "-", input=row.replace(b"ann", b"bob"))
    assert (refused.exit_code, "segment 5 is archived" in refused.stderr) == (1, True)
    assert len(profiles(store)) == 1


# What is refused


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compressed", [False, True])
def test_refused_rows_mended_and_imported_give_the_state_of_the_good_file(
    format: str, compressed: bool, store: str, tmp_path: Path
) -> None:
    bad = range(7, 1000, 100)
    file, refused = tmp_path / f"people.{format}", tmp_path / f"refused.{format}"
    content = written(rows_of(1000, bad), format)
    file.write_bytes(gzip.compress(content) if compressed else content)
    result = command(store, "import", "--refused", str(refused), str(file))
    assert (result.exit_code, result.stdout) == (1, "1000 rows: 990 imported, 10 refused\n")
    assert 'field "_sex" is not valid: "x" is not one of' in result.stderr
    assert refused.stat().st_mode & 0o777 == 0o600
    again = tmp_path / f"again.{format}"
    unmended = command(store, "import", "--refused", str(again), str(refused))
    assert unmended.stdout == "10 rows: 0 imported, 10 refused\n"
    assert again.stat().st_size <= refused.stat().st_size + 10
    again.write_bytes(mended(again.read_bytes()))
    assert command(store, "import", str(again)).stdout == "10 rows: 10 imported, 0 refused\n"
    good = create(f"sqlite:///{tmp_path}/good.db", tmp_path)
    assert command(good, "import", "-", input=written(rows_of(1000), format)).exit_code == 0
    assert state(store) == state(good)


def mended(content: bytes) -> bytes:
    for before, after in ((b'"_sex":"x"', b'"_sex":"female"'), (b",x,", b",female,"), (b">x<", b">female<")):
        content = content.replace(before, after)
    return content


def test_a_file_that_breaks_off_is_continued_after_its_last_row(store: str, tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    content = written(rows_of(300), "json")
    file.write_bytes(content[:-30])
    broken = command(store, "import", str(file))
    assert broken.exit_code == 1
    assert "line 301: the element that begins here is malformed, or the file ends in it" in broken.stderr
    assert "The 299 rows before it are done. Mend the file, and import the rest with --skip 299" in broken.stderr
    file.write_bytes(content)
    assert command(store, "import", "--skip", "299", str(file)).stdout == "1 rows: 1 imported, 0 refused\n"
    assert [each.version for each in profiles(store)] == [1] * 300


MISTAKES = {
    "unknown matching": (["--matching", "name"], b'{"a":1}', 'field "matching" is not valid: it must be one of email'),
    "wrong option": (["--parameter", "skip_triggers=1"], b'{"a":1}', "skip_triggers"),
    "no pair": (["--parameter", "skip_triggers"], b"{}", "is not NAME=VALUE"),
    "unknown encoding": (["--encoding", "martian"], b"{}", "unknown encoding: martian"),
    "unknown dialect": (["--dialect", "martian"], b"{}", "'martian' is not one of altcraft"),
    "map of no CSV": (["--map", "a=b"], b"{}", "--map is for CSV"),
    "resumed stdin": (["--resume"], b"{}", "an import from stdin or a pipe cannot be resumed"),
    "bad header": ([], b"a,a\n1,2\n", "two columns of the header are the field 'a'"),
    "no known column": ([], b"E-Mail,Notes\nann@example.com,x\n", "no column is a field of altcraft or of database 1"),
    "unknown database": (["--database", "9"], b"{}", "there is no database 9"),
    "broken compression": ([], gzip.compress(b"{}")[:12], "Compressed file ended before"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_command_changes_nothing(name: str, store: str) -> None:
    arguments, content, reason = MISTAKES[name]
    result = command(store, "import", *arguments, "-", input=content)
    assert result.exit_code in (1, 2)
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert profiles(store) == []


def test_a_closed_database_refuses_unknown_columns_at_once(store: str) -> None:
    content = b"E-Mail,card,Notes\nann@example.com,7,x\n"
    named = command(store, "import", "--dry-run", "--map", "E-Mail=email", "-", input=content)
    assert (named.exit_code, named.stderr) == (0, "columns that become own fields, undeclared, as text: Notes\n")
    assert command(store, "database", "update", "--closed", "1").exit_code == 0
    closed = command(store, "import", "--map", "E-Mail=email", "-", input=content)
    assert (closed.exit_code, "is closed and declares no field Notes" in closed.stderr) == (2, True)
    assert command(store, "import", "--map", "E-Mail=email", "--map", "Notes=", "-", input=content).exit_code == 0


def test_a_number_as_a_date_is_that_of_a_request(store: str) -> None:
    assert command(store, "import", "-", input=b"email,_bdate\nann@example.com,646099200000\n").exit_code == 0
    digits = command(store, "import", "-", input=b'{"email":"ann@example.com","_bdate":"19900131"}')
    assert digits.stderr == 'line 1: field "_bdate" is not valid: "19900131" is not a date or time\n'
    assert [each.document["birthdate"] for each in profiles(store)] == [646099200000]


def test_existing_files_are_not_overwritten(store: str, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"photo")
    assert command(store, "import", "--refused", str(file), "-", input=b"{}").exit_code == 2
    assert command(store, "export", str(file)).exit_code == 2
    assert file.read_bytes() == b"photo"


# Dry runs


@pytest.mark.parametrize("format", FORMATS)
def test_a_dry_run_refuses_the_same_rows_and_stores_nothing(format: str, store: str, tmp_path: Path) -> None:
    rows = rows_of(400, range(3, 400, 50))
    rows += [
        {**rows[1], "email": "new@example.com", "card": "7"},
        {**rows[1], "email": "other@example.com", "card": "7"},
    ]
    rows = [{"card": f"c{number}", **row} for number, row in enumerate(rows)]
    file, dry, wet = tmp_path / f"people.{format}", tmp_path / "dry", tmp_path / "wet"
    file.write_bytes(written(rows, format))
    before = run_on(store, dump)
    result = command(store, "import", "--dry-run", "--refused", str(dry), str(file))
    assert (result.exit_code, result.stdout) == (1, "402 rows: 393 would be imported, 9 refused\n")
    assert run_on(store, dump) == before
    assert command(store, "import", "--refused", str(wet), str(file)).exit_code == 1
    assert dry.read_bytes() == wet.read_bytes()


async def dump(store: Any) -> bytes:
    async with store.snapshot() as snapshot:
        return b"".join([line async for line in dump_lines(store, snapshot)])


# Resuming


class _Killed(Exception):
    """Ends an import in a test."""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("after", ["commit", "refusals"])
def test_an_interrupted_import_continues_and_each_row_happens_once(
    engine: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = create(f"sqlite:///{tmp_path}/one.db" if engine == "sqlite" else postgresql.fresh(), tmp_path)
    file, refused = tmp_path / "people.csv", tmp_path / "refused.csv"
    bad = range(0, 6 * GROUP_SIZE, 13)
    file.write_bytes(written(rows_of(6 * GROUP_SIZE + 5, bad), "csv"))
    arguments = ("import", "--refused", str(refused), "--resume", str(file))
    finish = FileImport._finish

    def dies_in(number: int) -> None:
        calls = iter(range(1000))

        async def dying(self: FileImport, waiting: Any) -> None:
            if next(calls) == number:
                if waiting is not None:
                    await waiting.results
                if after == "refusals":
                    await finish(self, waiting)
                    self._refused_file._file.write(b'"torn')  # type: ignore[union-attr]
                monkeypatch.setattr(FileImport, "_finish", dead)
                raise _Killed
            await finish(self, waiting)

        async def dead(self: FileImport, _waiting: Any) -> None:
            if self._refused_file._file:
                self._refused_file._file.close()
                self._refused_file._file = None

        monkeypatch.setattr(FileImport, "_finish", dying)

    for number in (3, 0, 1, 2):
        dies_in(number)
        result = command(url, *arguments)
        assert isinstance(result.exception, _Killed), result.output
    monkeypatch.setattr(FileImport, "_finish", finish)
    result = command(url, *arguments)
    assert result.stdout == f"{6 * GROUP_SIZE + 5} rows: {6 * GROUP_SIZE + 5 - len(bad)} imported, {len(bad)} refused\n"
    assert {each.document["custom"]["checks"] for each in profiles(url)} == {1}
    lines = [line.split("line ")[1].split(":")[0] for line in refused.read_text().splitlines() if "line " in line]
    assert len(lines) == len(set(lines)) == len(bad)
    again = command(url, *arguments)
    assert (again.exit_code, "is imported completely already" in again.stderr) == (1, True)
    assert len(profiles(url)) == 6 * GROUP_SIZE + 5 - len(bad)


@pytest.mark.parametrize(("option", "hint"), [("--mode=import", "; --resume continues"), ("--dry-run", "")])
def test_an_import_that_is_stopped_says_how_it_continues(
    option: str, hint: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, calls = FileImport._prepare, iter(range(100))

    def stopped(self: FileImport, rows: Any) -> Any:
        if next(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return prepare(self, rows)

    file = tmp_path / "people.ndjson"
    file.write_bytes(written(rows_of(9 * GROUP_SIZE), "ndjson"))
    monkeypatch.setattr(FileImport, "_prepare", stopped)
    result = command(store, "import", option, str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    done = int(result.stderr.split()[0])
    assert 0 < done < 9 * GROUP_SIZE
    assert result.stderr == f"{done} rows are done{hint}\n\nAborted!\n"
    monkeypatch.setattr(FileImport, "_prepare", prepare)
    rest = command(store, "import", option, *(["--resume"] if hint else []), str(file))
    assert rest.stdout.startswith(f"{9 * GROUP_SIZE} rows: {9 * GROUP_SIZE} ")
    assert {each.document["custom"]["checks"] for each in profiles(store)} == ({1} if hint else set())


def test_an_import_without_resume_begins_again(store: str, tmp_path: Path) -> None:
    file = tmp_path / "people.ndjson"
    file.write_bytes(written(rows_of(3), "ndjson"))
    for _ in range(3):
        assert command(store, "import", str(file)).exit_code == 0
    assert {each.document["custom"]["checks"] for each in profiles(store)} == {3}


def test_a_shorter_file_of_refused_rows_is_not_continued(store: str, tmp_path: Path) -> None:
    file, refused = tmp_path / "people.json", tmp_path / "refused.json"
    file.write_bytes(written(rows_of(2 * GROUP_SIZE, [1]), "json")[:-9])
    assert command(store, "import", "--refused", str(refused), str(file)).exit_code == 1
    refused.unlink()
    result = command(store, "import", "--resume", "--refused", str(refused), str(file))
    assert (result.exit_code, "name the same file in --refused" in result.stderr) == (1, True)


def test_an_import_continues_after_an_outage_of_the_store(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "people.ndjson"
    file.write_bytes(written(rows_of(3 * GROUP_SIZE), "ndjson"))
    start, groups = FileImport._start, iter(range(9))

    def failing(self: FileImport, number: int, group: Any) -> Any:
        if next(groups) == 2:
            raise Unavailable("the store is gone")
        return start(self, number, group)

    monkeypatch.setattr(FileImport, "_start", failing)
    result = command(store, "import", str(file))
    assert result.exit_code == 1
    assert result.stderr == f"{2 * GROUP_SIZE} rows are done; --resume continues\nError: the store is gone\n"
    assert command(store, "import", "--resume", str(file)).exit_code == 0
    assert [each.document["custom"]["checks"] for each in profiles(store)] == [1] * (3 * GROUP_SIZE)


def test_a_full_disk_of_the_refused_rows_is_no_loss(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, refused = tmp_path / "people.ndjson", tmp_path / "refused.ndjson"
    file.write_bytes(written(rows_of(3 * GROUP_SIZE, [1, 2, GROUP_SIZE + 1]), "ndjson"))
    real, calls = os.fsync, iter(range(9))

    def full(descriptor: int) -> None:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as disk:
        disk.setattr("gateway.transfer.refused_file.os.fsync", full)
        result = command(store, "import", "--refused", str(refused), str(file))
    assert (result.exit_code, "No space left on device" in result.stderr) == (1, True)
    assert "rows are done; --resume continues" in result.stderr
    resumed = command(store, "import", "--resume", "--refused", str(refused), str(file))
    assert resumed.stdout == f"{3 * GROUP_SIZE} rows: {3 * GROUP_SIZE - 3} imported, 3 refused\n"
    assert len(refused.read_bytes().splitlines()) == 3
    assert {each.document["custom"]["checks"] for each in profiles(store)} == {1}


def importing(url: str, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    program = [str(Path(sys.executable).parent / "profile-gateway"), "import", *arguments]
    return subprocess.Popen(
        program, env={**environment, "GATEWAY_STORE": url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def kill_at(file: Path, shares: Sequence[float], total: int, *arguments: str) -> None:
    """Import into a SQLite file, and kill the process at each of these shares of the rows; then let it end."""
    for share in shares:
        process = importing(f"sqlite:///{file}", "--resume", *arguments)
        while count_profiles(file) < share * total:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert count_profiles(file) < total
    process = importing(f"sqlite:///{file}", "--resume", *arguments)
    process.communicate(timeout=3600)
    assert process.returncode == 1


def count_profiles(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        [[count]] = connection.execute("SELECT count(*) FROM profiles")
    return int(count)


ROWS_TO_KILL = int(os.environ.get("GATEWAY_TEST_IMPORT_ROWS", "4000"))


@pytest.mark.parametrize("format", ["csv"] if ROWS_TO_KILL <= 4000 else FORMATS)
def test_each_row_happens_once_though_the_process_is_killed(format: str, store: str, tmp_path: Path) -> None:
    file, refused = tmp_path / f"people.{format}.gz", tmp_path / "refused"
    bad, store_file = range(0, ROWS_TO_KILL, 101), Path(store.removeprefix("sqlite:///"))
    file.write_bytes(gzip.compress(written(rows_of(ROWS_TO_KILL, bad), format), 1))
    shares = (0, 0.05, 0.3, 0.35, 0.6, 0.7)
    kill_at(store_file, shares, ROWS_TO_KILL - len(bad), "--refused", str(refused), str(file))
    checks = [each.document["custom"]["checks"] for each in profiles(store)]
    assert (len(checks), set(checks)) == (ROWS_TO_KILL - len(bad), {1})
    assert refused.read_bytes().count(b"is not one of") == len(bad)


# Export


documents = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["ann@example.com", "Bob@Example.com", "cy@example.org"]),
        "phones": st.lists(st.sampled_from(["+79511059000", "+79000000000"]), max_size=2, unique=True),
        "_fname": st.sampled_from(["Ann", "", " Ann ", "=1+1", 'A"n,n', "a\r\nb", "null", "5"]),
        "_sex": st.sampled_from(["male", "female", 0, 1, 2]),
        "_bdate": st.sampled_from(["2000-02-29", "1999-01-01"]),
        "card": st.sampled_from(["7", "0007", "x;y"]),
        "checks": st.integers(-(2**63), 2**63 - 1),
        "score": st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False),
        "vip": st.booleans(),
        "born": st.just("2001-01-01"),
        "colour": st.sampled_from(["red", 3]),
        "tags": st.lists(st.sampled_from(["", " ", "a,b", "7"]), max_size=3),
        "add_to_segments": st.just([5, 7]),
        "free": st.recursive(
            st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from(["", " x", "5", "true", "\u2028"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["a", "b c", "action"]), inner, min_size=1, max_size=2)
            ),
            max_leaves=5,
        ).map(lambda value: {"action": "set", "value": value} if isinstance(value, dict) else value),
        "x:json": st.sampled_from(["{}", "a"]),
        "subscriptions": st.lists(
            st.sampled_from(
                [
                    {"channel": "email", "email": "ann@example.com", "status": "unsubscribed", "resource_id": 5},
                    {"channel": "email", "email": "bob@example.com", "status": "subscribed", "custom_fields": {"a": 5}},
                    {"channel": "sms", "phone": "+79511059000", "priority": 3},
                ]
            ),
            max_size=2,
        ),
    },
)


@settings(max_examples=20)  # each one runs twenty commands
@given(rows=st.lists(documents, min_size=1, max_size=4))
@example(rows=[{"free": {"action": "set", "value": {"action": "incr", "value": 1}}}, {"free": "text"}, {"free": 5}])
@example(rows=[{"_fname": "", "tags": []}, {"tags": ["", "7"]}, {"score": 1e300}, {"score": -0.0}])
def test_an_export_imported_gives_the_same_state(rows: list[dict[str, Any]], tmp_path_factory: Any) -> None:
    folder: Path = tmp_path_factory.mktemp("law")
    first = create(f"sqlite:///{folder}/first.db", folder)
    command(first, "import", "--mode", "add", "-", input="\n".join(map(json.dumps, rows)).encode())
    before = state(first)
    for format in FORMATS:
        file, url = folder / f"people.{format}.gz", create(f"sqlite:///{folder}/{format}.db", folder)
        assert command(first, "export", str(file)).exit_code == 0
        result = command(url, "import", "--mode", "add", str(file))
        assert result.exit_code == 0, result.output
        assert state(url) == before, format
        other = folder / f"again.{format}.gz"
        assert command(url, "export", str(other)).exit_code == 0
        assert sorted(lines(other)) == sorted(lines(file))


def lines(file: Path) -> Iterator[bytes]:
    """Return the lines of an export, without the comma between two elements of an array."""
    return (line.removesuffix(b",") for line in gzip.decompress(file.read_bytes()).split(b"\n"))


def test_an_opt_out_of_another_profile_is_in_the_export(store: str) -> None:
    rows: list[dict[str, Any]] = [
        {"card": str(number), "subscriptions": [{"channel": "email", "email": "ann@example.com", "status": status}]}
        for number, status in enumerate(["subscribed", "unsubscribed"])
    ]
    given = "\n".join(map(json.dumps, rows)).encode()
    assert command(store, "import", "--mode", "add", "-", input=given).exit_code == 0
    exported = [json.loads(line) for line in command(store, "export", "-").stdout.splitlines()]
    assert [row["subscriptions"][0]["status"] for row in exported] == ["unsubscribed", "unsubscribed"]


@pytest.mark.parametrize(
    ("status", "looser"),
    [("unsubscribed", "subscribed"), ("suspended", "subscribed"), ("suspended", "unconfirmed"), ("suspended", 4)],
)
def test_an_older_file_lifts_no_opt_out(store: str, status: str, looser: str | int) -> None:
    def row(word: str | int, _status: int) -> bytes:
        subscription = {"channel": "email", "email": "ann@example.com", "resource_id": 5, "status": word}
        return json.dumps({"email": "ann@example.com", "_status": _status, "subscriptions": [subscription]}).encode()

    old = row(looser, 0)
    for file in (old, row(status, 1), old + b"\n" + old):
        result = command(store, "import", "-", input=file)
        assert result.exit_code == 0, result.output
    [found] = [json.loads(line) for line in command(store, "export", "-").stdout.splitlines()]
    assert (found["_status"], found["subscriptions"][0]["status"]) == (1, status)


def test_an_export_after_a_cursor_has_what_changed(store: str) -> None:
    rows = [{"email": f"user{number}@example.com"} for number in range(5)]
    assert command(store, "import", "-", input="\n".join(map(json.dumps, rows)).encode()).exit_code == 0
    cursor = cursor_of(command(store, "export", "-"))
    assert command(store, "export", "--after", cursor, "-").stdout == ""
    changed = (
        b'{"email":"user3@example.com","_fname":"Ann"}\n{"email":"new@example.com"}\n{"email":"user1@example.com"}'
    )
    assert command(store, "import", "-", input=changed).exit_code == 0
    later = command(store, "export", "--after", cursor, "-")
    found = sorted(json.loads(line)["email"] for line in later.stdout.splitlines())
    assert found == ["new@example.com", "user3@example.com"]  # the third row changed nothing
    assert command(store, "export", "--after", cursor_of(later), "-").stdout == ""
    for wrong in ("photo", f"{'0' * 32}-1", f"{cursor.partition('-')[0]}-99"):
        assert "Error: --after: " in command(store, "export", "--after", wrong, "-").stderr


def cursor_of(result: Result) -> str:
    return result.stderr.rpartition("--after ")[2].strip()


def test_an_export_that_fails_leaves_no_file(store: str, tmp_path: Path) -> None:
    row = json.dumps({"email": "ann@example.com", "free": {"action": "set", "value": {}}}).encode()
    assert command(store, "import", "-", input=row).exit_code == 0
    file = tmp_path / "people.xml"
    result = command(store, "export", str(file))
    assert result.exit_code == 1
    assert "has an empty object, which XML cannot represent; another format can" in result.stderr
    assert not file.exists()
    assert DATABASE.fields == FIELDS
