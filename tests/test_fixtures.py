"""The sources of the fixtures exist, and no tracked file contains a path of a developer's machine."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cases import FIXTURES

ROOT = FIXTURES.parent
CASE_FILES = sorted(FIXTURES.glob("**/case.json"))
ATTACKED_FILE = b"file:///etc/passwd"
"""The external entity in hostile requests: an attack, not a path of ours."""
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(?:work|tmp|home|root)/|file:" + rb"//")


def sources() -> dict[str, Path]:
    """Return each distinct `spec`, with one case that has it."""
    return {json.loads(file.read_bytes())["spec"]: file for file in CASE_FILES}


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a Markdown page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def is_available(spec: str) -> bool:
    """Whether a `spec` is a URL, or a file of this repository with the anchor that it names."""
    if re.fullmatch(r"https://[!-~]+", spec):
        return True
    name, _, anchor = spec.partition("#")
    page = ROOT / name
    return page.is_file() and (not anchor or anchor in anchors(page))


@pytest.mark.parametrize("spec", sorted(sources()))
def test_the_source_of_a_case_is_available(spec: str) -> None:
    assert is_available(spec), sources()[spec]


@pytest.mark.parametrize("spec", ["reference/altcraft.md, XML", "docs/no-page.md", "docs/decisions.md#no-such-section"])
def test_a_source_that_is_missing_is_found(spec: str) -> None:
    assert not is_available(spec)


def test_each_section_of_the_decisions_has_its_own_anchor() -> None:
    headings = re.findall(r"^#+ .+$", (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(headings) == len(anchors(ROOT / "docs" / "decisions.md"))


def tracked_files() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [file for name in names.split("\0") if name and (file := ROOT / name).is_file()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the files are not in a git repository")
def test_no_file_contains_a_path_of_a_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {match.group().decode()}"
        for file in tracked_files()
        if (match := MACHINE_PATH.search(file.read_bytes().replace(ATTACKED_FILE, b"")))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "path", [b"#!/" + b"tmp/env/python", b"'/" + b"work/shared'", b"file:" + b"//data", b" /" + b"home/me/"]
)
def test_a_path_of_a_machine_is_found(path: bytes) -> None:
    assert MACHINE_PATH.search(path)
