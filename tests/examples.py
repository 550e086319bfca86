"""Write the examples of the published contracts, from the fixtures that they name: `python -m tests.examples`.

An installed gateway has no fixtures. It publishes these few.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.dialects import load_dialects
from gateway.openapi.files import schema
from tests.cases import FIXTURES, TOKENS

FILE = Path(__file__).parents[1] / "schemas" / "examples.json"


def examples() -> dict[str, Any]:
    """Return, by dialect and case, the status and the bodies of request and reply by media type."""
    return {dialect.name: _examples_of(dialect.name) for dialect in load_dialects({})}


def _examples_of(dialect: str) -> dict[str, Any]:
    named = sorted({row["example"] for row in schema(f"{dialect}.openapi")["calls"].values() if "example" in row})
    return {name: _example(FIXTURES / dialect / name) for name in named}


def _example(folder: Path) -> dict[str, Any]:
    about = json.loads((folder / "case.json").read_text())
    return {"status": about["status"], "request": _bodies(folder, "request"), "reply": _bodies(folder, "response")}


def _bodies(folder: Path, name: str) -> dict[str, Any]:
    """Return the bodies by media type: JSON as a value, XML as text. They have no token: the header has it."""
    found = {media: folder / f"{name}.{media}" for media in ("json", "xml")}
    texts = {media: file.read_text() for media, file in found.items() if file.exists()}
    return {media: PARSE[media](text) for media, text in texts.items() if text}


def _json_without_token(text: str) -> Any:
    value = json.loads(text)
    if value.get("token") in TOKENS:
        del value["token"]
    return value


def _xml_without_token(text: str) -> str:
    return XML_TOKEN.sub("", text)


XML_TOKEN = re.compile(rf"\s*<token>(?:{'|'.join(map(re.escape, TOKENS))})</token>")
PARSE: Mapping[str, Callable[[str], Any]] = {"json": _json_without_token, "xml": _xml_without_token}


def rendered() -> str:
    return json.dumps(examples(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered())
