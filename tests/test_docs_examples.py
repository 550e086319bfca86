"""The commands of the documentation, run as printed, against a real server on another port."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.sdks.environments import wait_for

ROOT = Path(__file__).parents[1]
COMMANDS = Path(sys.executable).parent
START = "GATEWAY_BOOTSTRAP_TOKEN=secret make run"
METRICS_TOKEN = "another-secret"
PAGES = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in (
            *("getting-started", "altcraft", "courier", "klaviyo", "gateway-api", "fields-and-types"),
            *("import-export", "testing", "contracts", "operating", "refused-requests"),
        )
    ),
]

VARIABLE = re.compile(r"[0-9a-f]{32}|[0-9a-f]{24}|\d{4}-\d\d-\d\dT[\d:.]+Z|in [\d.]+ s|(?<=\"token\":\")[0-9a-f]{8}")
"""Ids of stores, profiles and requests, times and durations differ from run to run."""

REFUSED = re.compile(r'"error": ?[1-9]|<error>[1-9]|"errors"|"type": ?"\w+_error"')


class Example(NamedTuple):
    """A block of commands, and the output that is printed below it, if any."""

    commands: str
    output: str | None


def examples(page: Path) -> list[Example]:
    blocks = re.findall(r"^```sh\n(.*?)^```\n(?:```(?:json|xml|text)\n(.*?)^```$)?", page.read_text(), re.M | re.S)
    return [Example(commands, output or None) for commands, output in blocks]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, str]]:
    """A server that is started as the pages say; yields the environment of its operator."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment = {
        **inherited,
        "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}",
        "GATEWAY_STORE": f"sqlite:///{folder}/gateway.db",
        "GATEWAY_PORT": str(port),
    }
    started = {
        "GATEWAY_BOOTSTRAP_TOKEN": "secret",
        "GATEWAY_METRICS_TOKEN": METRICS_TOKEN,
        "GATEWAY_LOG_LEVEL": "error",
        "GATEWAY_KEEP_REFUSED_DAYS": "3",
    }
    with (folder / "access.log").open("wb") as log:
        server = subprocess.Popen(["profile-gateway", "serve"], env={**environment, **started}, stdout=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz")
            yield environment
        finally:
            server.terminate()
            server.wait(30)


def run(commands: str, folder: Path, environment: dict[str, str]) -> str:
    """The output of commands, in the shell that the pages assume."""
    script = commands.replace("127.0.0.1:8080", f"127.0.0.1:{environment['GATEWAY_PORT']}")
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def masked(text: str) -> str:
    return VARIABLE.sub("…", text.strip())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_have_the_documented_results(page: Path, tmp_path: Path) -> None:
    assert examples(page)
    with serving(tmp_path) as environment:
        for example in examples(page):
            output = run(example.commands, tmp_path, environment)
            if example.output is None:
                assert not REFUSED.search(output), f"{example.commands}\n{output}"
            else:
                assert masked(output) == masked(example.output)


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_the_start_command_is_the_one_that_is_tested(page: Path) -> None:
    assert f"\n    {START}\n" in page.read_text()
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", "run"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == ".venv/bin/profile-gateway serve"


def test_the_access_log_has_the_members_that_are_documented(tmp_path: Path) -> None:
    with serving(tmp_path) as environment:
        run(examples(ROOT / "README.md")[0].commands, tmp_path, environment)
    line = json.loads((tmp_path / "access.log").read_text().splitlines()[0])
    section = (ROOT / "docs" / "operating.md").read_text().partition("## Access log")[2].partition("## Metrics")[0]
    [example] = re.findall(r"^```json\n(.*?)^```$", section, re.M | re.S)
    assert line.keys() == json.loads(example).keys()
    assert [name for name in line if f"`{name}`" not in section] == []


PROGRAMS = {"java": ("Update.java", ["java", "Update.java"]), "php": ("update.php", ["php", "update.php"])}


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_programs_for_xml_systems_run(language: str, tmp_path: Path) -> None:
    name, command = PROGRAMS[language]
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    text = (ROOT / "docs" / "altcraft.md").read_text()
    [program] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    with serving(tmp_path) as environment:
        (tmp_path / name).write_text(program.replace("127.0.0.1:8080", f"127.0.0.1:{environment['GATEWAY_PORT']}"))
        output = run(" ".join(command), tmp_path, environment)
    assert re.search(r"\b[0-9a-f]{24}\b", output)


def test_the_example_for_pytest_runs(tmp_path: Path) -> None:
    page = ROOT / "docs" / "testing.md"
    case, *_ = examples(page)
    run(
        case.commands,
        tmp_path,
        {**os.environ, "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}", "GATEWAY_PORT": ""},
    )
    for language, name in (("ini", "pytest.ini"), ("python", "test_own.py")):
        [text] = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "--quiet", "test_own.py", "cases"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
