"""The commands `refused`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.command_line import Run, no_settings, run, url  # noqa: F401  # fixtures
from tests.test_refused import ALTCRAFT, BAD_PROFILE, BEARER, JSON, altcraft, altcraft_xml, gateway

pytestmark = pytest.mark.usefixtures("no_settings")


async def _send(folder: Path) -> None:
    async with gateway(folder, store=f"sqlite:///{folder}/gateway.db") as given:
        client = given.client
        await client.post(f"{ALTCRAFT}/import", json=altcraft(_bdate="never", n={"action": "incr", "value": 1}))
        xml = {"content-type": "application/xml"}
        await client.post(f"{ALTCRAFT}/import", content=altcraft_xml("<_bdate>never</_bdate>"), headers=xml)
        await client.post("/profiles/cora", json=BAD_PROFILE, headers=BEARER)
        await client.post("/profiles/cora", content=b"\xff", headers={**JSON, **BEARER})
        assert len(await given.kept(4)) == 4


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """The folder of a store with four refused requests."""
    asyncio.run(_send(tmp_path))
    return tmp_path


def done(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def lines(run: Run, *options: str) -> list[dict[str, Any]]:  # noqa: F811
    """Return what `list --json` prints, the oldest first."""
    return list(map(json.loads, reversed(done(run("refused list --json", *options)).splitlines())))


@pytest.mark.usefixtures("sent")
def test_the_list_has_a_line_of_json_for_each(run: Run) -> None:  # noqa: F811
    first, second, third, fourth = lines(run)
    assert list(first) == ["id", "time", "dialect", "call", "faults", "body"]
    assert (first["dialect"], first["call"]) == ("altcraft", f"POST {ALTCRAFT}/import")
    detail = '"never" is not a date or time'
    assert first["faults"] == [{"name": "invalid_field", "status": 400, "detail": detail, "pointer": "/data/_bdate"}]
    assert json.loads(first["body"])["data"]["_bdate"] == "never"
    assert second["body"].startswith("<xml ")
    assert fourth["body"] == "data:;base64,/w=="
    assert lines(run, "--dialect", "courier") == [third, fourth]
    assert lines(run, "--fault", "malformed_body", "--database", "1") == [fourth]
    assert run("refused list --database 9").stderr == "Error: there is no database 9\n"
    assert "/profile/birthdate" in done(run("refused list"))


@pytest.mark.usefixtures("sent")
def test_one_is_printed_with_everything(run: Run) -> None:  # noqa: F811
    row = lines(run)[2]
    found = json.loads(done(run("refused show", row["id"])))
    assert found["headers"] == {**JSON, "accept": "*/*"}
    assert (found["target"], found["replayed"], found["database"]) == ("/profiles/cora", None, 1)
    assert run("refused show", "absent").stderr == "Error: there is no refused request absent\n"


@pytest.mark.usefixtures("sent")
def test_many_are_mended_and_replayed_once(run: Run) -> None:  # noqa: F811
    ids = [each["id"] for each in lines(run, "--dialect", "altcraft")]
    mend = ("--set", "/data/_bdate=2000-01-31", "--set", "/data/email=ann@example.com")
    printed = done(run("refused replay", *ids, *mend)).splitlines()
    assert [line.partition(" {")[0].partition(" <?")[0] for line in printed] == [f"{id}: accepted, 200" for id in ids]
    again = run("refused replay", ids[0], "absent", *mend)
    assert (again.exit_code, again.stdout) == (1, "")
    first, second = again.stderr.splitlines()
    assert first.startswith(f"{ids[0]}: not sent: it was replayed at ")
    assert second == "absent: not sent: there is no refused request absent"
    assert len(lines(run, "--waiting")) == 2


@pytest.mark.usefixtures("sent")
def test_a_replay_that_fails_prints_the_reason(run: Run, tmp_path: Path) -> None:  # noqa: F811
    *_, third, fourth = [each["id"] for each in lines(run)]
    still = run("refused replay", third)
    assert (still.exit_code, still.stderr.partition(" {")[0]) == (1, f"{third}: refused again, 400")
    unset = run("refused replay", third, "--unset", "/profile/absent")
    assert unset.stderr == f"{third}: not sent: /profile/absent: the body has no absent\n"
    done(run("refused replay", third, "--unset", "/profile/birthdate"))
    undecodable = run("refused replay", fourth, "--set", "/profile={}")
    assert undecodable.stderr == f"{fourth}: not sent: the body cannot be decoded: replace the whole body\n"
    body = tmp_path / "body.json"
    body.write_text('{"profile": {"given_name": "Cora"}}')
    done(run("refused replay", fourth, "--body", str(body)))
    assert run("refused replay", fourth, "--set", "x").exit_code == 2


@pytest.mark.usefixtures("sent")
def test_they_are_exported_as_cases_that_pass(run: Run, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "cases"
    result = run("refused export", str(folder))
    assert result.stdout == f"4 case folders in {folder}\n"
    checked = run("check", str(folder))
    assert checked.exit_code == 0, checked.output
    assert len(list(folder.glob("*/request.*"))) == 4
    torn, mended, *_ = sorted(folder.iterdir())
    (torn / "case.json").unlink()
    (mended / "case.json").write_text("mended")
    again = run("refused export", str(folder))
    assert (again.exit_code, again.stdout) == (0, f"1 case folders in {folder}\n")
    assert again.stderr == "3 case folders were there already, and stay as they are\n"
    assert (mended / "case.json").read_text() == "mended"
    assert (torn / "case.json").exists()
