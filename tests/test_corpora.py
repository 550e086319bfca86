"""Public corpora of values, over real HTTP: e-mail addresses, phone numbers and strings that break things.

Read from `../shared/corpora`; skipped, by name, where that folder is absent.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import httpx
import pytest

from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.testkit.server_thread import ServerThread
from tests.cases import TOKENS, Case, seed_store

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
TOKEN = next(iter(TOKENS))
CONTROLS = set(range(32)) - {9, 10, 13} | {0xFFFE, 0xFFFF}
"""What XML 1.0 cannot carry (2.2)."""


def rows(name: str) -> list[dict[str, Any]]:
    file = CORPORA / f"{name}.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is absent")
    return [json.loads(line) for line in file.read_text().split("\n") if line]


class Client:
    """Calls of one database over one connection."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def json(self, call: str, **members: Any) -> dict[str, Any]:
        return self._http.post(f"/api/v1.1/profiles/{call}", json={"token": TOKEN, "db_id": 1, **members}).json()

    def xml(self, call: str, members: str) -> httpx.Response:
        body = f"<xml><token>{TOKEN}</token><db_id>1</db_id>{members}</xml>".encode()
        return self._http.post(f"/api/v1.1/profiles/{call}", content=body, headers={"content-type": "application/xml"})


@pytest.fixture
def client(host: ServerThread, tmp_path: Path) -> Iterator[Client]:
    store = host.run(open_store(f"sqlite:///{tmp_path}/corpora.db", create=True))
    host.run(seed_store(store, Case(tmp_path, "json", {})))

    async def opened(_url: str) -> Any:
        return store

    with host.serving(create(Settings(), open_store=opened)), httpx.Client(base_url=host.url) as http:
        yield Client(http)


def test_emails(client: Client) -> None:
    for row in rows("emails"):
        reply = client.json("add", data={"email": row["text"]})
        assert reply["error"] in (0, 400, 409), row
        if row["expect"] != "either":
            assert (reply["error"] != 400) == (row["expect"] == "accept"), (row, reply)


def test_phones(client: Client) -> None:
    for row in rows("phones"):
        reply = client.json("add", data={"phones": [row["text"]]})
        assert (reply["error"] == 0) == (row["expect"] == "accept"), (row, reply)


def test_forms_of_a_phone_have_one_identity(client: Client) -> None:
    seen: dict[str, str] = {}
    for row in rows("phones"):
        if row["expect"] != "accept" or row["text"] in seen:
            continue
        seen[row["text"]] = client.json("import", matching="phone", phone=row["text"], data={"x": "1"})["profile_id"]
        for spelling in row["alt"]:
            found = client.json("update", matching="phone", phone=spelling, data={"x": "2"})
            assert found.get("profile_id") == seen[row["text"]], (row, spelling, found)


def test_strings_read_back_as_they_were_sent(client: Client) -> None:
    client.json("add", data={"email": "strings@example.com"})
    for row in rows("strings"):
        text = row["text"]
        wrote = client.json("update", email="strings@example.com", data={"own": text})
        assert wrote["error"] == 0, (row, wrote)
        assert client.json("get", email="strings@example.com")["data"]["own"] == text, row
        if text and CONTROLS.isdisjoint(map(ord, text)):
            field = f"<own>{escape(text, {chr(13): '&#13;'})}</own>"
            wrote_xml = client.xml("update", f"<email>strings@example.com</email><data>{field}</data>")
            assert b"<error>0</error>" in wrote_xml.content, (row, wrote_xml.content)
            assert client.json("get", email="strings@example.com")["data"]["own"] == text, row
