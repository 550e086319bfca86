"""The command `changes`."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.faults import Refusal
from gateway.core.journal import creation
from gateway.core.model import Change, EditResult, Origin, Profile, Write
from gateway.stores import open_store
from gateway.testkit.embedded import seed_store
from tests.cases import Case
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("no_settings")


def fill(url: str, folder: Path, *ids: str) -> None:
    """Create a store with these profiles, each of which has an event."""
    folder.mkdir()
    rows = [{"id": id, "document": {"given_name": id}} for id in ids]
    (folder / "before.json").write_text(json.dumps(rows))

    async def work() -> None:
        store = await open_store(url, create=True)
        await seed_store(store, Case(folder, "json", {}))
        await store.close()

    asyncio.run(work())


def test_prints_an_event_a_line(url: str, run: Run, tmp_path: Path) -> None:
    fill(url, tmp_path / "case", "p1", "p2", "p3")
    lines = run("changes --database 1 --values").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [each["subject"] for each in events] == ["p1", "p2", "p3"]
    assert events[0]["data"]["values"] == [{"path": "", "after": {"given_name": "p1"}}]
    assert run("changes --database 1 --values --after", events[0]["id"]).stdout.splitlines() == lines[1:]
    assert run("changes --database 2").stdout == ""


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("changes --database 1 --after x", "--after: the cursor is not one of this feed"),
        ("changes --database 1 --after 0-1", "--after: the oldest position that is kept is 1"),
        ("changes --database 9", "there is no database 9"),
    ],
)
def test_refuses_in_one_line(url: str, run: Run, tmp_path: Path, command: str, reason: str) -> None:
    fill(url, tmp_path / "case", "p1")
    refused = run(command)
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", f"Error: {reason}\n")
    assert not isinstance(refused.exception, Refusal)


def test_follows_until_its_reader_has_closed(url: str, tmp_path: Path) -> None:
    fill(url, tmp_path / "case", "p1")
    command = [sys.executable, "-m", "gateway", "changes", "--store", url, "--database", "1", "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["subject"] == "p1"
        process.stdout.close()
        for number in range(2):
            _add(url, f"q{number}")
        assert process.wait(20) in (0, 1)
        assert "Traceback" not in process.stderr.read()


def _add(url: str, id: str) -> None:
    """Add a profile to database 1, with an event."""
    profile = Profile(id, {"given_name": id}, 1, 0, 0)
    write = Write(None, profile, members=creation(profile.document), kind="create")

    async def work() -> None:
        store = await open_store(url, create=False)
        await store.change([Change(1, (), lambda _find: EditResult(profile, (write,)), Origin("t", "d", 0))])
        await store.close()

    asyncio.run(work())
