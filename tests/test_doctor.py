"""The command `doctor`: each problem is found, with advice, and nothing else is called one."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from gateway.cli import doctor
from gateway.cli.doctor import Finding
from gateway.core.model import Profile
from gateway.settings import Settings
from tests.command_line import Run
from tests.file_states import run_on
from tests.stores import change, creation

pytestmark = pytest.mark.usefixtures("no_settings")


def findings(run: Run) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """Return the exit status, and of each check the worst level with its detail and advice."""
    result = run("doctor --json")
    found: dict[str, tuple[str, str, str]] = {}
    for each in json.loads(result.stdout):
        row = each["level"], each["detail"], each["advice"]
        found[each["check"]] = max(found.get(each["check"], row), row, key=lambda one: doctor_order(one[0]))
    return result.exit_code, found


def doctor_order(level: str) -> int:
    return ("ok", "warning", "problem").index(level)


@pytest.fixture
def _store(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_synchronized", lambda: True)
    monkeypatch.setattr(doctor, "ENOUGH_ROOM", 0)
    assert run("database create --id 1 --name one").exit_code == 0
    assert run("token create --database 1").exit_code == 0


@pytest.mark.usefixtures("_store")
def test_a_healthy_gateway_has_no_problem(run: Run, tmp_path: Path) -> None:
    status, found = findings(run)
    assert status == 0
    assert {name: level for name, (level, *_) in found.items() if level != "ok"} == {}
    assert set(found) == {"versions", "settings", "store", "permissions", "disk", "open files", "clock"}
    assert found["store"][1] == f"sqlite:///{tmp_path}/gateway.db: 1 databases, 1 valid tokens"
    text = run("doctor").stdout
    assert "ok       store        sqlite:///" in text


def test_a_missing_store_is_a_problem(run: Run) -> None:
    status, found = findings(run)
    assert (status, found["store"][0]) == (1, "problem")
    assert "there is no such store" in found["store"][1]
    assert "permissions" not in found  # there is no file that others could open


@pytest.mark.usefixtures("_store")
def test_rights_of_others_are_a_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gateway.db").chmod(0o644)
    status, found = findings(run)
    assert (status, found["permissions"]) == (
        1,
        ("problem", f"others can open {tmp_path}/gateway.db", f"chmod 600 {tmp_path}/gateway.db"),
    )


@pytest.mark.usefixtures("_store")
def test_a_secret_file_without_a_key_is_a_problem(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "gateway.db.secret"
    secret.write_text("photo")
    secret.chmod(0o600)
    assert findings(run)[1]["permissions"][:2] == ("problem", f"{secret} has no key")


@pytest.mark.usefixtures("_store")
def test_a_store_without_a_valid_token_is_a_warning(run: Run) -> None:
    [token] = json.loads(run("token list --json").stdout)
    assert run(f"token revoke {token['id']}").exit_code == 0
    status, found = findings(run)
    assert (status, found["store"]) == (0, ("warning", "it has no token", "profile-gateway token create --database 1"))


@pytest.mark.usefixtures("_store")
def test_a_clock_behind_the_store_is_a_problem(run: Run, url: str) -> None:
    future = time.time_ns() // 1_000_000 + 3_600_000
    result = creation("a")
    [write] = result.writes
    late = structs.replace(write, after=Profile("a", {}, 1, future, future))
    run_on(url, lambda store: store.change([change(lambda _: structs.replace(result, writes=(late,)))]))
    status, found = findings(run)
    assert (status, found["clock"][0]) == (1, "problem")
    assert "s in the future" in found["clock"][1]


@pytest.mark.parametrize(
    ("setting", "value", "detail"),
    [
        ("GATEWAY_PORT", "photo", "GATEWAY_PORT: "),
        ("GATEWAY_PROT", "8080", "did you mean GATEWAY_PORT?"),
        ("GATEWAY_GEOIP", "/nowhere", "GATEWAY_GEOIP: "),
        ("GATEWAY_TRUSTED_PROXIES", "photo", "GATEWAY_TRUSTED_PROXIES: "),
        ("GATEWAY_BOOTSTRAP_FIELDS", "/nowhere", "GATEWAY_BOOTSTRAP_FIELDS: "),
    ],
)
@pytest.mark.usefixtures("_store")
def test_a_wrong_setting_is_a_problem(
    setting: str, value: str, detail: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, value)
    status, found = findings(run)
    assert (status, found["settings"][0]) == (1, "problem")
    assert detail in found["settings"][1]


def level(found: Any) -> str:
    [finding] = found
    assert isinstance(finding, Finding)
    assert (finding.level == "ok") == (finding.advice == "")
    return finding.level


def test_the_limits_of_the_machine() -> None:
    assert level(doctor.check_open_files(1000, (256, 2000))) == "ok"
    assert level(doctor.check_open_files(1000, (256, 1000))) == "warning"
    assert level(doctor.check_clock(0)) == "problem"
    for free, expected in ((1 << 20, "problem"), (1 << 30, "warning"), (5 << 30, "warning"), (1 << 40, "ok")):
        assert level([doctor._room(Path("/"), free, 10 << 30)]) == expected


def test_the_clock_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.is_synchronized() in (True, False, None)
    monkeypatch.setattr(doctor, "is_synchronized", lambda: False)
    monkeypatch.setattr(doctor.sys, "platform", "linux")
    assert level(doctor.check_clock(time.time())) == "warning"


def test_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert level(doctor.check_versions()) == "ok"
    monkeypatch.setattr(doctor, "missing_internals", lambda: ["uvicorn 9 does not have x"])
    assert level(doctor.check_versions()) == "problem"


def test_another_engine_needs_the_key_to_be_named() -> None:
    settings = Settings(store="postgresql://host/name")
    assert level(doctor.check_permissions(settings)) == "warning"
    assert list(doctor.check_disk(settings)) == []


def test_refused_requests_need_a_key() -> None:
    settings = Settings(store="postgresql:///name", keep_refused_days=3)
    [found] = doctor.check_settings(settings)
    assert (found.level, found.detail) == (
        "problem",
        "GATEWAY_KEEP_REFUSED_DAYS: GATEWAY_SECRET_FILE is not set, and the store is no file",
    )
    assert [each.level for each in doctor.check_settings(structs.replace(settings, secret_file="key"))] == ["ok"]
