"""Fixtures that run the command line on a new SQLite store."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main

Run = Callable[..., Result]


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the settings of whoever runs the tests from the environment."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture
def run(url: str) -> Run:
    """Runs one command on the store, as `run("token list")` or `run("database create --name", "two words")`."""

    def run(command: str, *arguments: str) -> Result:
        return CliRunner(env={"GATEWAY_STORE": url}).invoke(main, [*command.split(), *arguments])

    return run
