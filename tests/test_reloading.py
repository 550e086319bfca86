"""Settings that are read again on SIGHUP, in one process and in several."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gateway.service.reload_file import RELOADED_SETTINGS, read_settings
from gateway.settings import Settings, variable
from tests.sdks.environments import wait_for

ROOT = Path(__file__).parents[1]
UPDATE = {"token": "secret", "db_id": 1, "email": "ann@example.com", "data": {}}


def test_the_file_takes_precedence_over_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "reloaded.env"
    file.write_text("# limits\n\n GATEWAY_TOKEN_RATE = 5/second \nGATEWAY_LOG_LEVEL=debug\n")
    environ = {"GATEWAY_RELOAD_FILE": str(file), "GATEWAY_LOG_LEVEL": "error", "GATEWAY_MAX_NODES": "7"}
    settings = read_settings(environ)
    assert (settings.token_rate, settings.log_level, settings.max_nodes) == ("5/second", "debug", 7)
    assert read_settings({}) == Settings()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("GATEWAY_STORE=memory:", "line 1: GATEWAY_STORE is no setting that is reloaded"),
        ("\nphoto", "line 2: photo is no setting that is reloaded"),
        ("GATEWAY_MAX_NODES=0", "GATEWAY_MAX_NODES: "),
        (None, "GATEWAY_RELOAD_FILE: "),
    ],
)
def test_a_wrong_file_is_named(content: str | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "reloaded.env"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"GATEWAY_|no setting") as error:
        read_settings({"GATEWAY_RELOAD_FILE": str(file)})
    assert reason in str(error.value)


def test_every_reloaded_setting_is_documented() -> None:
    section = (ROOT / "docs" / "deploying.md").read_text().partition("## Settings without a restart")[2]
    section = section.partition("\n## ")[0]
    assert [name for name in RELOADED_SETTINGS if f"`{variable(name)}`" not in section] == []


def becomes(expected: int, work: Callable[[], int]) -> None:
    """Repeat work until it has this result twenty times in turn, as each worker must; at most for half a minute."""
    ends, found = time.monotonic() + 30, 0
    while found < 20:
        found = found + 1 if work() == expected else 0
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
def test_limits_and_log_level_change_without_a_restart(workers: int, tmp_path: Path) -> None:
    file, log = tmp_path / "reloaded.env", tmp_path / "log"
    file.write_text("")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    settings = {
        "GATEWAY_STORE": f"sqlite:///{tmp_path}/gateway.db",
        "GATEWAY_PORT": str(port),
        "GATEWAY_WORKERS": str(workers),
        "GATEWAY_BOOTSTRAP_TOKEN": "secret",
        "GATEWAY_ACCESS_LOG": "false",
        "GATEWAY_RELOAD_FILE": str(file),
    }
    command = [str(Path(sys.executable).parent / "profile-gateway"), "serve"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, env={**inherited, **settings}, stderr=output, stdout=output)

    def status() -> int:
        return httpx.post(f"http://127.0.0.1:{port}/api/v1.1/profiles/import", json=UPDATE).status_code

    def reload(text: str) -> None:
        file.write_text(text)
        server.send_signal(signal.SIGHUP)

    try:
        wait_for(f"http://127.0.0.1:{port}/readyz")
        becomes(200, status)
        reload("GATEWAY_TOKEN_RATE=1/day\n")
        becomes(429, status)
        reload("GATEWAY_TOKEN_RATE=photo\n")
        becomes(workers, lambda: log.read_text().count("were not reloaded: GATEWAY_TOKEN_RATE: "))
        becomes(429, status)
        reload("GATEWAY_MAX_DEPTH=1\n")
        becomes(400, status)
        reload("GATEWAY_LOG_LEVEL=error\n")
        becomes(200, status)
    finally:
        server.terminate()
        assert server.wait(30) in (0, -signal.SIGTERM)
    # The last time it was below the level.
    assert log.read_text().count("the settings were reloaded") == 2 * workers
