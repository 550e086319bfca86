"""Who may import whom: the folder listing is the architecture, and this table holds it to that."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gateway"

ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "core": (set(), {"email_validator", "msgspec", "phonenumbers"}),
    "media": ({"core"}, {"jiter", "lxml", "orjson", "xmltodict"}),
    "schema": ({"core"}, {"jsonschema", "jsonschema_rs", "referencing"}),
    "dialects": ({"core"}, {"jsonpatch", "msgspec"}),
    "stores": ({"core"}, {"apsw", "msgspec", "orjson", "psycopg"}),
    "geo": ({"core"}, {"maxminddb"}),
    "rates": ({"core"}, {"limits"}),
    "settings": (set(), {"msgspec"}),
    "bootstrap": ({"core", "settings", "stores"}, set()),
    "catalog": ({"core", "dialects", "schema", "stores"}, set()),
    "verbs": ({"core", "dialects", "geo", "schema", "stores"}, {"msgspec"}),
    "pipeline": ({"catalog", "core", "dialects", "media", "rates", "schema", "stores", "turns", "verbs"}, {"msgspec"}),
    "turns": (set(), set()),
    "published": ({"core", "dialects", "media"}, {"lxml"}),
    "app": (
        {
            *(
                "access_log",
                "bodies",
                "catalog",
                "core",
                "dialects",
                "geo",
                "media",
                "metrics",
                "pipeline",
                "published",
            ),
            *("rates", "settings", "stores", "verbs"),
        },
        {"starlette"},
    ),
    "contract": ({"core", "media", "schema"}, set()),
    "runner": (
        {"app", "contract", "core", "declared", "protocol", "settings", "stores"},
        {"click", "httpx", "msgspec", "pytest", "starlette", "uvicorn", "uvloop"},
    ),
    "bodies": ({"core"}, set()),
    "access_log": (set(), {"orjson"}),
    "metrics": (set(), {"prometheus_client"}),
    "proxies": ({"contract", "core", "dialects", "media"}, {"click", "httpx", "starlette", "uvicorn"}),
    "protocol": (set(), {"httptools", "uvicorn"}),
    "workers": (set(), {"uvicorn"}),
    "archive": ({"core", "declared", "schema", "stores"}, {"jiter", "msgspec", "orjson"}),
    "declared": ({"core"}, {"jsonschema", "jsonschema_rs"}),
    "__main__": (
        {
            *("archive", "bootstrap", "core", "declared", "dialects", "geo", "protocol", "published", "settings"),
            *("proxies", "runner", "stores", "workers"),
        },
        {"click", "msgspec", "orjson", "uvicorn"},
    ),
    "__init__": (set(), set()),
}
"""For each room: the rooms it may import, and the libraries that it alone may know (or shares by name here)."""


def modules() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if "schemas" not in file.parts]


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield from (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "gateway" else [node.module]
            )


def dialect_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[1].removesuffix(".py")


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_only_what_its_room_may(file: Path) -> None:
    rooms, libraries = ROOMS[room_of(file)]
    for name in imported(file):
        first, *rest = name.split(".")
        if first == "gateway":
            assert rest[0] in rooms | {room_of(file)}, f"{file} imports {name}"
        else:
            assert first in sys.stdlib_module_names or first in libraries, f"{file} imports {name}"


@pytest.mark.parametrize("room", ["dialects", "stores"])
def test_siblings_do_not_know_each_other(room: str) -> None:
    for file in modules():
        if room_of(file) != room or dialect_of(file) == "__init__":
            continue
        for name in imported(file):
            if name.startswith(f"gateway.{room}."):
                known = name.split(".")[2]
                assert known == dialect_of(file) or known.startswith("_"), f"{file} imports {name}"


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_file_says_what_it_is(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text()))


def test_the_core_is_pure() -> None:
    impure = {"asyncio", "io", "os", "pathlib", "random", "secrets", "socket", "subprocess", "time", "uuid"}
    for file in modules():
        if room_of(file) == "core":
            assert not impure & {name.split(".")[0] for name in imported(file)}, file
