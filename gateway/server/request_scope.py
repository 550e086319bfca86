"""The ASGI scope of a request. Pure functions."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config


def connection_scope(config: Config, transport: asyncio.Transport) -> Mapping[str, Any]:
    """Return what the scopes of all requests of a connection have in common."""
    return {
        "type": "http",
        "asgi": {"version": config.asgi_version, "spec_version": "2.3"},
        "scheme": "https" if transport.get_extra_info("sslcontext") else "http",
        "root_path": config.root_path,
        "server": _address(transport, "sockname"),
        "client": _address(transport, "peername"),
    }


def request_scope(
    connection: Mapping[str, Any], version: str, method: bytes, url: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> dict[str, Any]:
    """Return the scope of a request, except its `state`. Raises `HttpParserInvalidURLError`."""
    target = httptools.parse_url(url)
    raw_path, root_path = target.path, connection["root_path"]
    path = raw_path.decode("ascii")
    return {
        **connection,
        "http_version": version,
        "method": method.decode("ascii"),
        "path": root_path + (unquote(path) if "%" in path else path),
        "raw_path": root_path.encode("ascii") + raw_path,
        "query_string": target.query or b"",
        "headers": headers,
    }


def _address(transport: asyncio.Transport, name: str) -> tuple[str, int] | None:
    """Return host and port of one end of a connection. Other sockets than those of the Internet have none."""
    address = transport.get_extra_info(name)
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
