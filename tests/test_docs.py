"""Everything a user can set, call or get is documented."""

import re
from pathlib import Path

import click
import pytest

from gateway.cli.main import main
from gateway.core.faults import CATALOG
from gateway.dialects import load_dialects
from gateway.dialects.altcraft.data import ACTIONS
from gateway.dialects.altcraft.matching import SEARCHING
from gateway.dialects.altcraft.requests import OPTIONS, SEGMENTS
from gateway.openapi.files import PATHS
from tests.readme import rendered

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
WORDS = set(re.findall(r"[\w./-]+", README))


@pytest.mark.parametrize(
    "call", [call for dialect in load_dialects({}) for call in dialect.calls], ids=lambda call: call.path
)
def test_every_call_is_documented(call: object) -> None:
    path = call.path.removeprefix("/api/v1.1/")  # type: ignore[attr-defined]
    assert f"`{path}`" in README or f" {path}`" in README, path


@pytest.mark.parametrize("path", [*PATHS, "healthz", "readyz"])
def test_every_other_address_is_documented(path: str) -> None:
    assert f"`GET /{path}`" in README or path.startswith("docs/")


@pytest.mark.parametrize("word", [*ACTIONS, *OPTIONS, *SEARCHING, *SEGMENTS.values()])
def test_every_parameter_mode_and_function_is_documented(word: str) -> None:
    assert f"`{word}`" in README


def test_the_tables_are_what_the_code_says() -> None:
    assert rendered(README) == README, "run `make docs`"
    for mark in ("settings", "fields", "speed"):
        assert f"<!-- {mark} -->" in README


@pytest.mark.parametrize("status", sorted({row.status for row in CATALOG.values()}))
def test_every_status_is_documented(status: int) -> None:
    assert str(status) in README


def commands(group: click.Group, before: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, f"{before}{name} ") if isinstance(command, click.Group) else [before + name]
    return found


@pytest.mark.parametrize("command", commands(main))
def test_every_command_is_documented(command: str) -> None:
    assert f"profile-gateway {command}" in README or f"`{command}`" in README


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "gateway" / "README.md", ROOT / "fixtures" / "README.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_readme_shows_a_table_for_every_room() -> None:
    rooms = {file.name.removesuffix(".py") for file in (ROOT / "gateway").iterdir() if not file.name.startswith("_")}
    text = (ROOT / "gateway" / "README.md").read_text()
    for room in rooms - {"README.md", "schemas"}:
        assert f"`{room}.py`" in text or f"`{room}/`" in text, room


def test_every_test_that_is_named_exists() -> None:
    """In the table of attacks: each row is held by a test."""
    text = (ROOT / "gateway" / "README.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", text)
    assert named
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), f"{file}::{name}"
