"""Who may import whom: the folder listing is the architecture, and this table holds it to that."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gateway"

BELOW_SERVICE = {"core", "media", "schema", "dialects", "stores"}

ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "core": (set(), {"email_validator", "msgspec", "orjson", "phonenumbers"}),
    "media": ({"core"}, {"jiter", "lxml", "msgspec", "orjson"}),
    "schema": ({"core"}, {"jsonschema", "jsonschema_rs", "msgspec", "referencing"}),
    "dialects": ({"core"}, {"graphql", "jsonpatch", "msgspec"}),
    "stores": ({"core", "optional_dependencies"}, {"apsw", "msgspec", "orjson", "psycopg"}),
    "optional_dependencies": (set(), set()),
    "settings": (set(), {"msgspec"}),
    "service": ({*BELOW_SERVICE, "optional_dependencies", "settings"}, {"cryptography", "jwt", "maxminddb", "msgspec"}),
    "transfer": ({*BELOW_SERVICE, "service"}, {"jiter", "msgspec", "orjson"}),
    "feed": ({*BELOW_SERVICE, "optional_dependencies", "service"}, {"cryptography", "httptools", "msgspec"}),
    "api": ({*BELOW_SERVICE, "optional_dependencies", "service", "feed"}, {"msgspec"}),
    "openapi": ({*BELOW_SERVICE, "optional_dependencies", "service"}, {"lxml"}),
    "console": ({*BELOW_SERVICE, "service", "feed", "openapi"}, {"jinja2", "msgspec"}),
    "server": (
        {*BELOW_SERVICE, "optional_dependencies", "service", "feed", "api", "console", "openapi", "settings"},
        {"httptools", "opentelemetry", "orjson", "prometheus_client", "starlette", "uvicorn"},
    ),
    "testkit": (
        {*BELOW_SERVICE, "server", "settings"},
        {"httpx", "msgspec", "pytest", "starlette", "uvicorn", "uvloop"},
    ),
    "cli": (
        {
            *BELOW_SERVICE,
            "service",
            "feed",
            "transfer",
            "openapi",
            "server",
            "testkit",
            "optional_dependencies",
            "settings",
        },
        {"click", "httpx", "msgspec", "orjson", "uvicorn"},
    ),
    "__main__": ({"cli"}, set()),
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


def test_only_the_embedded_gateway_of_the_testkit_imports_the_server() -> None:
    importing = {
        file.name
        for file in modules()
        if room_of(file) == "testkit" and any(name.startswith("gateway.server") for name in imported(file))
    }
    assert importing == {"embedded.py", "server_thread.py"}


@pytest.mark.parametrize("room", ["dialects", "stores"])
def test_siblings_do_not_import_each_other(room: str) -> None:
    for file in modules():
        if room_of(file) != room or dialect_of(file) == "__init__":
            continue
        for name in imported(file):
            if name.startswith(f"gateway.{room}."):
                sibling = PACKAGE / room / name.split(".")[2]
                assert sibling.name == dialect_of(file) or not sibling.is_dir(), f"{file} imports {name}"


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_file_has_a_docstring(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text()))


def test_the_core_is_pure() -> None:
    impure = {"asyncio", "io", "os", "pathlib", "random", "secrets", "socket", "subprocess", "time", "uuid"}
    for file in modules():
        if room_of(file) == "core":
            assert not impure & {name.split(".")[0] for name in imported(file)}, file


VENDORS = re.compile(r"altcraft|courier|klaviyo|\b_?kx\b|_regip|anonymous_id", re.IGNORECASE)
"""Names of vendors, and of identities and fields that are one vendor's own."""


def test_the_core_names_no_vendor() -> None:
    for file in modules():
        if room_of(file) == "core":
            assert VENDORS.findall(file.read_text()) == [], file


VENDOR_FOLDERS = sorted(folder for folder in (PACKAGE / "dialects").iterdir() if (folder / "__init__.py").exists())
VENDOR_FILES = {"__init__.py", "calls.py", "errors.py", "fields.py", "replies.py", "requests.py"}


@pytest.mark.parametrize("folder", VENDOR_FOLDERS, ids=lambda folder: folder.name)
def test_every_vendor_has_the_same_files(folder: Path) -> None:
    assert {file.name for file in folder.glob("*.py")} >= VENDOR_FILES


JSONAPI = PACKAGE / "dialects" / "klaviyo" / "jsonapi"
JSONAPI_IMPORTS = ("gateway.core", "gateway.dialects.protocol", "gateway.dialects.klaviyo.jsonapi.")
FIELDS_OF_VENDORS = re.compile(r"/api/|/client/|profile|e-?mail|phone|\blists?/|segment|job|push", re.IGNORECASE)


@pytest.mark.parametrize("file", sorted(JSONAPI.glob("*.py")), ids=lambda file: file.name)
def test_jsonapi_depends_on_no_vendor(file: Path) -> None:
    """It names no vendor, path or field, and imports nothing of the dialect around it."""
    own = [name for name in imported(file) if name.startswith("gateway.")]
    assert [name for name in own if not name.startswith(JSONAPI_IMPORTS)] == []
    lines = [line for line in file.read_text().splitlines() if not line.startswith("from gateway.")]
    for pattern in (VENDORS, FIELDS_OF_VENDORS):
        assert pattern.findall("\n".join(lines)) == []
