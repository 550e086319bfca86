"""Files in the names of Courier and Klaviyo: rows are carried out as requests are, and exports can be imported."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.faults import Refusal
from gateway.dialects.row_members import flatten, nest
from gateway.server.app import create as create_app
from gateway.service.changes import GROUP_SIZE
from gateway.settings import Settings
from gateway.transfer.file_import import FileImport
from gateway.transfer.formats.csv import CsvWriter
from tests.file_states import profiles, state
from tests.test_file_import import FORMATS, command, create

OBJECTS = {"courier": ("address", "custom"), "klaviyo": ("location", "properties")}

ROWS: Mapping[str, Sequence[dict[str, Any]]] = {
    "courier": [
        {
            "recipient_id": "ann 1",
            "email": "ann@example.com",
            "given_name": 'A"nn, "Lee"',
            "phone_number": "+79511059000",
            "address": {"locality": "Perm", "country": "RU"},
            "custom": {"checks": 7, "tags": ["a", "b"], "free": {"a": [1, None]}},
            "slack": {"access_token": "x"},
        },
        {"recipient_id": "ann 1", "birthdate": "2001-01-31", "custom": {"checks": 8, "vip": True}},
        {"recipient_id": "7", "locale": "en", "custom": {"note": "two\nlines"}},
    ],
    "klaviyo": [
        {
            "email": "ann@example.com",
            "phone_number": "+79511059000",
            "external_id": "ann",
            "_kx": "k1",
            "first_name": 'A"nn, "Lee"',
            "location": {"city": "Perm", "latitude": "58.01", "longitude": 56.25},
            "properties": {"checks": 7, "tags": ["a", "b"], "a.b": "dot", "free": {"a": [1]}},
        },
        {"external_id": "ann", "title": "Dr", "properties": {"checks": 8}},
        {"anonymous_id": "q", "organization": "Acme"},
    ],
}
"""Rows of which the second one updates the first."""


@pytest.fixture(autouse=True)
def _environment(no_settings: None) -> None:
    """No setting of whoever runs the tests counts."""


@pytest.fixture
def store(tmp_path: Path, url: str) -> str:
    """A store with the database of these tests."""
    return create(url, tmp_path)


@pytest.fixture(params=OBJECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def another(folder: Path, name: str) -> str:
    """Return an empty store with the same database."""
    return create(f"sqlite:///{folder}/{name}.db", folder)


def imported(store: str, dialect: str, content: bytes, *options: str) -> Any:
    return command(store, "import", "--dialect", dialect, *options, "-", input=content)


def ndjson(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def csv(rows: Sequence[Mapping[str, Any]], objects: Sequence[str]) -> bytes:
    """Return rows with a column for each member of an object. Values that are no texts are JSON."""
    flat = [flatten(row, objects) for row in rows]
    values = [(name, value) for row in flat for name, value in row.items()]
    texts = {name for name, _ in values} - {name for name, value in values if not isinstance(value, str)}
    columns = dict.fromkeys(name for name, _ in values)
    writer = CsvWriter([name if name in texts else f"{name}:json" for name in columns])
    return writer.head + b"".join(writer.row(row, False) for row in flat)


async def send(store: str, dialect: str, token: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Send the rows as clients do."""
    app = create_app(Settings(store=store, access_log=False))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
    headers = {"authorization": f"Bearer {token}", "revision": "2026-07-15"}
    async with app.router.lifespan_context(app), client:
        for row in rows:
            body: dict[str, Any] = {"data": {"type": "profile", "attributes": row}}
            path = "/api/profile-import"
            if dialect == "courier":
                path = f"/profiles/{row['recipient_id']}"
                body = {"profile": {name: value for name, value in row.items() if name != "recipient_id"}}
            reply = await client.post(path, json=body, headers=headers)
            assert reply.status_code < 300, reply.text


def test_rows_are_carried_out_as_requests_are(dialect: str, store: str, tmp_path: Path) -> None:
    token = command(store, "token", "create", "--database", "1").stdout.splitlines()[-1]
    asyncio.run(send(store, dialect, token, ROWS[dialect]))
    for name, content in {"json": ndjson(ROWS[dialect]), "csv": csv(ROWS[dialect], OBJECTS[dialect])}.items():
        other = another(tmp_path, name)
        result = imported(other, dialect, content)
        assert (result.exit_code, result.stdout) == (0, "3 rows: 3 imported, 0 refused\n"), result.output
        assert state(other) == state(store), name


def test_cells_have_the_type_of_their_field(dialect: str, store: str) -> None:
    own = {"courier": "custom", "klaviyo": "properties"}[dialect]
    key = {"courier": "recipient_id", "klaviyo": "external_id"}[dialect]
    content = f"{key},{own}.checks,{own}.vip,{own}.score\nann,007,true,1.50\n".encode()
    assert imported(store, dialect, content).exit_code == 0
    [document] = (text for text in state(store) if "custom" in text)
    assert '"custom":{"checks":7,"score":1.5,"vip":true}' in document


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_imported_gives_the_same_state(dialect: str, format: str, store: str, tmp_path: Path) -> None:
    assert imported(store, dialect, ndjson(ROWS[dialect])).exit_code == 0
    file, again, other = tmp_path / f"a.{format}", tmp_path / f"b.{format}", another(tmp_path, "other")
    assert command(store, "export", "--dialect", dialect, str(file)).exit_code == 0
    result = command(other, "import", "--dialect", dialect, str(file))
    assert (result.exit_code, result.stdout) == (0, "2 rows: 2 imported, 0 refused\n"), result.output
    assert state(other) == state(store)
    assert command(other, "export", "--dialect", dialect, str(again)).exit_code == 0
    assert sorted(lines(again)) == sorted(lines(file))


def lines(file: Path) -> list[bytes]:
    """Return the lines of an export, without the comma between two elements of an array."""
    return [line.removesuffix(b",") for line in file.read_bytes().split(b"\n")]


def test_profiles_of_other_dialects_are_exported_by_their_own_names(dialect: str, store: str) -> None:
    row = {"email": "ann@example.com", "_fname": "Ann", "_city": "Perm", "checks": 3, "phones": ["+79511059000"]}
    assert command(store, "import", "-", input=ndjson([row])).exit_code == 0
    [found] = map(json.loads, command(store, "export", "--dialect", dialect, "-").stdout.splitlines())
    found.pop("recipient_id", None)  # the gateway's id, as the profile has no external one
    assert found in (
        {
            "email": "ann@example.com",
            "given_name": "Ann",
            "phone_number": "+79511059000",
            "address": {"locality": "Perm"},
            "custom": {"checks": 3},
        },
        {
            "email": "ann@example.com",
            "first_name": "Ann",
            "phone_number": "+79511059000",
            "location": {"city": "Perm"},
            "properties": {"checks": 3},
        },
    )


@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_refused_rows_mended_and_imported_give_the_state_of_the_good_file(
    dialect: str, format: str, store: str, tmp_path: Path
) -> None:
    own = {"courier": "custom", "klaviyo": "properties"}[dialect]
    key = {"courier": "recipient_id", "klaviyo": "external_id"}[dialect]
    good = [{key: f"p{number}", own: {"checks": number}} for number in range(300)]
    bad = [{**row, own: {"checks": "many"}} if index % 100 == 7 else row for index, row in enumerate(good)]

    def written(rows: Sequence[dict[str, Any]]) -> bytes:
        texts = [{**row, own: {"checks": str(row[own]["checks"])}} for row in rows]
        return ndjson(rows) if format == "ndjson" else csv(texts, OBJECTS[dialect])

    file, refused = tmp_path / f"bad.{format}", tmp_path / f"refused.{format}"
    file.write_bytes(written(bad))
    arguments = ("import", "--dialect", dialect, "--refused", str(refused))
    dry = command(store, "import", "--dialect", dialect, "--dry-run", str(file))
    assert (dry.exit_code, dry.stdout) == (1, "300 rows: 297 would be imported, 3 refused\n")
    first = command(store, *arguments, str(file))
    assert (first.exit_code, first.stdout) == (1, "300 rows: 297 imported, 3 refused\n")
    assert f"{own}.checks" in first.stderr
    resumed = command(store, *arguments, "--resume", str(file))
    assert "is imported completely already" in resumed.stderr
    content = refused.read_bytes()
    if format == "ndjson":
        rows = [json.loads(line) for line in content.splitlines()]
        mended = ndjson([{**row, own: {"checks": int(row[key][1:])}} for row in rows])
    else:
        assert content.startswith(f"_refused,{key},{own}.checks\r\n".encode())
        mended = re.sub(rb"p(\d+),many", rb"p\1,\1", content)
    assert imported(store, dialect, mended).stdout == "3 rows: 3 imported, 0 refused\n"
    other = another(tmp_path, "good")
    assert imported(other, dialect, ndjson(good)).exit_code == 0
    assert state(store) == state(other)


def test_an_interrupted_import_is_resumed_and_each_row_happens_once(
    dialect: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"courier": "recipient_id", "klaviyo": "external_id"}[dialect]
    file = tmp_path / "people.ndjson"
    file.write_bytes(ndjson([{key: f"p{number}", "locale": "en"} for number in range(3 * GROUP_SIZE)]))
    prepare, calls = FileImport._prepare, iter(range(9))

    def interrupted(self: FileImport, rows: Any) -> Any:
        if next(calls) == 2:
            raise LookupError
        return prepare(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(FileImport, "_prepare", interrupted)
        failed = command(store, "import", "--dialect", dialect, str(file))
    assert isinstance(failed.exception, LookupError)
    assert len(profiles(store)) == 2 * GROUP_SIZE
    resumed = command(store, "import", "--dialect", dialect, "--resume", str(file))
    assert (resumed.exit_code, resumed.stdout) == (0, f"{3 * GROUP_SIZE} rows: {3 * GROUP_SIZE} imported, 0 refused\n")
    assert [each.version for each in profiles(store)] == [1] * 3 * GROUP_SIZE


MISTAKES = {
    "a mode of others": ("courier", ["--mode", "add"], b'{"recipient_id":"a"}', "courier has no mode add: import"),
    "a parameter": ("klaviyo", ["--matching", "email"], b'{"email":"a@b.c"}', "klaviyo has no parameter matching"),
    "an unknown column": (
        "klaviyo",
        [],
        b"email,points\n",
        "klaviyo has no field points: --map COLUMN=",
    ),
    "a member of no object": ("klaviyo", [], b"email,location.x\n", "klaviyo has no field location.x"),
    "another database": ("courier", [], b"<xml><db_id>2</db_id><data/></xml>", "is for database 2"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_command_changes_nothing(name: str, store: str) -> None:
    dialect, arguments, content, reason = MISTAKES[name]
    result = imported(store, dialect, content, *arguments)
    assert (result.exit_code, reason in result.stderr) == (2, True), result.stderr


BAD_ROWS = {
    "no object": ("courier", b"[5]", "a row must be an object"),
    "no id": ("courier", b'{"email":"a@example.com"}', "recipient_id: it is empty"),
    "an object that is none": (
        "courier",
        b'{"recipient_id":"a","address":"x","address.locality":"y"}',
        "address is no object, and has the member address.locality",
    ),
    "no identifier": ("klaviyo", b'{"first_name":"Ann"}', "At least one identifier is required"),
    "an unknown name": ("klaviyo", b'{"email":"a@example.com","nope":1}', "'nope' is not a valid field"),
    "an unknown id": ("klaviyo", b'{"id":"nobody","email":"a@example.com"}', "does not exist"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_refused_in_the_words_of_its_dialect(name: str, store: str) -> None:
    dialect, content, reason = BAD_ROWS[name]
    result = imported(store, dialect, content, *(["--mode", "update"] if name == "an unknown id" else []))
    assert (result.exit_code, result.stdout) == (1, "1 rows: 0 imported, 1 refused\n")
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_a_column_of_another_name_is_mapped(store: str) -> None:
    options = ("--map", "E-Mail=email", "--map", "Points=properties.checks", "--map", "Notes=")
    assert imported(store, "klaviyo", b"E-Mail,Points,Notes\nann@example.com,5,x\n", *options).exit_code == 0
    [document] = (text for text in state(store) if "custom" in text)
    assert '"checks":5' in document


def test_an_update_needs_the_id(store: str) -> None:
    assert imported(store, "klaviyo", b"email\nann@example.com\n", "--mode", "add").exit_code == 0
    taken = imported(store, "klaviyo", b"email\nann@example.com\n", "--mode", "add")
    assert (taken.exit_code, "A profile already exists" in taken.stderr) == (1, True)
    absent = imported(store, "klaviyo", b"email,title\nann@example.com,Dr\n", "--mode", "update")
    assert (absent.exit_code, "id: it is missing" in absent.stderr) == (1, True)


names = st.text(st.characters(categories=["L"]), min_size=1, max_size=3)
values = st.integers() | st.text(max_size=3) | st.dictionaries(names, st.integers(), max_size=2)
objects = st.dictionaries(st.text(max_size=3), values, max_size=3)


@given(st.dictionaries(names, values, max_size=3), objects)
def test_flattened_and_nested_a_row_is_the_same(row: dict[str, Any], custom: dict[str, Any]) -> None:
    given = {**row, "custom": custom}
    assert nest(flatten(given, ["custom"]), ["custom"]) == given


@given(st.permutations([("custom", {"a": 1}), ("custom.b", 2), ("email", "x")]))
def test_an_object_and_its_members_are_one(members: list[tuple[str, Any]]) -> None:
    assert nest(dict(members), ["custom"]) == {"custom": {"a": 1, "b": 2}, "email": "x"}


def test_a_row_that_is_no_object_is_refused() -> None:
    with pytest.raises(Refusal):
        nest([], ["custom"])
