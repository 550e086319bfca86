"""Plain names: what the design asks of every definition and file of the package, and of its tests and benchmarks."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "gateway"
MAX_LINES, MAX_ROOT_FILES = 350, 4

DISCOURAGED = re.compile(
    r"(^|_)(told|tell|shown|judged?|settled|spelled|inturn|rehears(al|ed|ing)|nowhere|hall|house|sight|doors?|nobody"
    r"|demand(ed)?|misfits?|foreseen|furnish(ed)?|betrayed|confess|absorbed)(_|$)",
    re.IGNORECASE,
)
"""Words that say nothing to a stranger, or that are metaphors."""


def modules() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if "schemas" not in file.parts]


def definitions(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each class, function, constant and file."""
    yield "file", file.stem
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ClassDef):
            yield "class", node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "function", node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
            yield "constant", node.id


def words(name: str) -> str:
    """Return a name in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def test_the_pattern_finds_discouraged_words() -> None:
    assert all(
        DISCOURAGED.search(words(name)) for name in ("_told", "as_shown", "_Door", "MissedSight", "judge", "HALL")
    )
    assert not any(
        DISCOURAGED.search(words(name)) for name in ("household", "insight", "threshold", "shallow", "teller")
    )


def test_definitions_have_plain_names() -> None:
    root = PACKAGE.parent
    found = [
        f"{file.relative_to(root)}: {kind} {name}"
        for file in [*modules(), *root.glob("tests/**/*.py"), *root.glob("bench/**/*.py")]
        for kind, name in definitions(file)
        if DISCOURAGED.search(words(name))
    ]
    assert not found, "\n".join(found)


def test_each_class_name_is_defined_once() -> None:
    places = defaultdict(list)
    for file in modules():
        for kind, name in definitions(file):
            if kind == "class":
                places[name.lstrip("_")].append(str(file.relative_to(PACKAGE)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_files_are_short() -> None:
    lengths = {str(file.relative_to(PACKAGE)): len(file.read_text().splitlines()) for file in modules()}
    assert {file: length for file, length in lengths.items() if length > MAX_LINES} == {}


def test_the_root_of_the_package_has_few_files() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_ROOT_FILES
