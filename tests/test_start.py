"""The check at start of the private internals of libraries, and what a start prints."""

import pytest
from uvicorn.server import Server, ServerState

from gateway.media import xml_parser
from gateway.server import dependencies
from gateway.server.dependencies import missing_internals
from gateway.server.start_message import address, start_message


def test_the_installed_libraries_have_all_internals() -> None:
    assert missing_internals() == []


def test_a_missing_internal_of_uvicorn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ((ServerState, ("tasks", "no_such_name")), (Server, ("neither_this",)))
    monkeypatch.setattr(dependencies, "UVICORN_INTERNALS", missing)
    [message] = missing_internals()
    assert message.startswith("uvicorn ")
    assert "ServerState.no_such_name, Server.neither_this;" in message


def test_a_missing_dictionary_of_lxml_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_parser, "_CONTEXT_KEY", "elsewhere")
    [message] = missing_internals()
    assert message.startswith("lxml ")


@pytest.mark.parametrize(
    ("store", "printed"),
    [
        ("sqlite:///gateway.db", "sqlite:///gateway.db"),
        ("postgresql://gateway:p4ss@db/profiles", "postgresql://gateway:***@db/profiles"),
        ("postgresql://db/profiles?user=a&password=p4ss&x=1", "postgresql://db/profiles?user=a&password=***&x=1"),
        ("postgresql://db/profiles", "postgresql://db/profiles"),
    ],
)
def test_a_start_message_contains_no_password(store: str, printed: str) -> None:
    lines = start_message("1.0", store, "http://127.0.0.1:8080", None, False).splitlines()
    assert lines[1] == f"Store: {printed}"
    assert "p4ss" not in "".join(lines)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("192.0.2.1", "http://192.0.2.1:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_an_address_reaches_the_server_from_this_machine(host: str, url: str) -> None:
    assert address(host, 80) == url
