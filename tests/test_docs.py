"""The documentation: links resolve, generated parts are current, and what a user can set, call or get is documented."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from gateway.api.calls import CALLS, ApiCall
from gateway.cli.main import main
from gateway.dialects import load_dialects
from gateway.dialects.altcraft.field_parser import ACTIONS
from gateway.dialects.altcraft.matching import SEARCH_MODES
from gateway.dialects.altcraft.requests import OPTIONS, SEGMENT_PARAMETERS
from gateway.dialects.altcraft.subscription_calls import SUBSCRIPTION_MEMBERS
from gateway.openapi.files import PATHS
from gateway.schema.formats import FORMATS
from gateway.server.metrics import Metrics
from gateway.settings import table
from tests.generate_docs import PARTS, generated

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", *DOCS, ROOT / "fixtures" / "README.md"]
MAX_README_LINES = 120


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def prose(text: str) -> str:
    """The text without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


# --- the pages themselves ---


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_generated_parts_are_current(file: Path) -> None:
    assert generated(file.read_text()) == file.read_text(), "run `make docs`"


@pytest.mark.parametrize("mark", PARTS)
def test_every_generated_part_is_on_one_page(mark: str) -> None:
    assert sum(f"<!-- {mark} -->\n" in file.read_text() for file in DOCS) == 1


def links(file: Path) -> Iterator[tuple[Path, str]]:
    """The relative links of a page: the file, and the anchor in it or an empty text."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(file.read_text())):
        path, _, anchor = target.partition("#")
        yield (file.parent / path).resolve() if path else file, anchor


def anchors(file: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(file.read_text()), flags=re.MULTILINE)
    found: set[str] = set()
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = sum(each == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", each) is not None for each in found)
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_relative_link_resolves(file: Path) -> None:
    for target, anchor in links(file):
        assert target.exists(), target
        if anchor:
            assert anchor in anchors(target), f"{target}#{anchor}"


def test_every_page_is_reachable_from_the_readme() -> None:
    reached, waiting = set[Path](), [README]
    while waiting:
        file = waiting.pop()
        if file not in reached and file.suffix == ".md":
            reached.add(file)
            waiting += [target for target, _ in links(file)]
    assert [each for each in PAGES if each not in reached] == []


def test_the_index_names_every_page() -> None:
    assert {target for target, _ in links(ROOT / "docs" / "README.md")} >= {*DOCS} - {ROOT / "docs" / "README.md"}


# --- what is documented ---


@pytest.mark.parametrize(
    ("dialect", "method", "path"),
    [(dialect.name, call.method, call.path) for dialect in load_dialects({}) for call in dialect.calls],
)
def test_every_call_is_documented(dialect: str, method: str, path: str) -> None:
    name = path.removeprefix("/api/v1.1/") if dialect == "altcraft" else f"{method} {path}"
    assert f"`{name}`" in page(dialect)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_every_call_of_the_gateways_own_api_is_documented(call: ApiCall) -> None:
    assert f"| `{call.method} {call.path}` |" in page("gateway-api")


@pytest.mark.parametrize(
    "word", [*ACTIONS, *OPTIONS, *SEARCH_MODES, *SEGMENT_PARAMETERS.values(), *SUBSCRIPTION_MEMBERS]
)
def test_every_parameter_mode_and_function_of_altcraft_is_documented(word: str) -> None:
    assert re.search(rf"`{word}\b", page("altcraft"))


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("docs/")])
def test_every_published_address_is_documented(path: str) -> None:
    assert f"`GET /{path}`" in page("contracts")


@pytest.mark.parametrize(
    ("path", "name"), [("healthz", "deploying"), ("readyz", "deploying"), ("metrics", "operating")]
)
def test_every_address_of_the_operator_is_documented(path: str, name: str) -> None:
    assert f"`GET /{path}`" in page(name)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_of_a_field_is_documented(format: str) -> None:
    assert f"`{format}`" in page("fields-and-types")


def test_every_member_of_a_dry_run_is_documented() -> None:
    row = json.loads((ROOT / "schemas" / "dry-run.schema.json").read_text())["properties"]["results"]["items"]
    text = page("fields-and-types").partition("## Dry runs")[2]
    for member in (*row["properties"], *row["properties"]["outcome"]["enum"]):
        assert f"`{member}`" in text, member


def test_every_matcher_is_documented() -> None:
    matchers = json.loads((ROOT / "schemas" / "case.schema.json").read_text())["$defs"]["mask"]["properties"]
    for name in matchers:
        assert f'`{{"{name}": ' in page("testing"), name


def test_every_option_of_the_pytest_plugin_is_documented() -> None:
    source = (ROOT / "pytest_profile_gateway.py").read_text()
    options = [*re.findall(r'"(--gateway-[\w-]+)"', source), *re.findall(r'addini\("(\w+)"', source)]
    assert options
    for name in options:
        assert name in page("testing"), name


def test_every_metric_is_documented() -> None:
    for metric in Metrics()._registry.collect():
        assert f"`{metric.name}" in page("operating"), metric.name


def test_every_target_of_the_makefile_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in targets if f"`make {name}`" not in text] == []


def test_every_package_is_described() -> None:
    entries = (file for file in (ROOT / "gateway").iterdir() if file.is_dir() or file.suffix == ".py")
    names = {file.name for file in entries if not file.name.startswith(("_", "."))}
    text = page("architecture")
    for name in names:
        assert f"`{name}`" in text or f"`{name}/`" in text, name


# --- what is said is true ---


def test_every_setting_that_is_named_exists() -> None:
    settings = {name for name, *_ in table()}
    for file in PAGES:
        named = set(re.findall(r"\bGATEWAY_(?!TEST_)[A-Z0-9_]*[A-Z0-9]", file.read_text()))
        assert named <= settings, file


def commands_named(text: str) -> Iterator[list[str]]:
    """The words after each `profile-gateway` in the code of a page."""
    for code in [*code_blocks(text, "sh"), *re.findall(r"`[^`\n]+`|^ {4}.*$", prose(text), flags=re.MULTILINE)]:
        for line in code.replace("\\\n", " ").splitlines():
            for words in re.findall(r"\bprofile-gateway ([a-z]+ .*)", line):
                yield re.split(r"[|>`)]", words)[0].split()


@pytest.mark.parametrize("file", [*DOCS, README], ids=lambda file: file.name)
def test_every_command_that_is_named_exists(file: Path) -> None:
    for words in commands_named(file.read_text()):
        command: click.Command = main
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            assert words[0] in command.commands, words
            command = command.commands[words.pop(0)]
        options = {option for each in command.params for option in each.opts} | {"--help", "--version"}
        assert {word for word in words if word.startswith("--")} <= options, (command.name, words)


COMPOSED = {
    "No such file or directory",
    "Address already in use",
    "is not an international phone number",
    "it must be an integer",
    "there is no Content-Type: send application/json or application/xml",
}
"""Messages of SQLite and of the system, and those that the gateway composes of parts."""


def test_every_message_of_the_troubleshooting_exists() -> None:
    source = "\n".join(file.read_text() for file in (ROOT / "gateway").rglob("*.py"))
    rows = re.findall(r"^\| `([^`]+)` \|", page("operating").partition("## Troubleshooting")[2], flags=re.MULTILINE)
    assert rows
    for message in rows:
        parts = (part.strip(" ?") for part in re.split(r"…|: (?=Address)", message))
        assert [part for part in parts if part not in source and part not in COMPOSED] == []


def test_every_test_that_the_attacks_name_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", page("security"))
    assert named
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), f"{file}::{name}"


@pytest.mark.parametrize("file", [*DOCS, README], ids=lambda file: file.name)
def test_every_example_of_yaml_and_json_is_well_formed(file: Path) -> None:
    text = file.read_text()
    for block in code_blocks(text, "yaml"):
        assert all(isinstance(each, dict) for each in yaml.safe_load_all(block))
    for block in code_blocks(text, "json"):
        json.loads(block)
