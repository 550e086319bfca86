"""Addresses to listen on, and the server of the commands `record` and `shadow`."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.testkit.proxy import Forwarder


KEEP_ALIVE_SECONDS = 75
"""Time that an idle connection to a proxy stays open, as of the server."""


def _parse_address(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, int]:
    """Return host and port. Raises `BadParameter`."""
    host, _, port = text.rpartition(":")
    if not (host and port.isdigit() and int(port) < 65_536):
        raise click.BadParameter(f"{text!r} is not of the form HOST:PORT")
    return host.strip("[]"), int(port)


LISTEN = click.option(
    "--listen",
    callback=_parse_address,
    default="127.0.0.1:8081",
    show_default=True,
    metavar="HOST:PORT",
    help="address of the proxy",
)


def serve_proxy(
    app: "Forwarder",
    listen: tuple[str, int],
    close: Callable[[], Awaitable[None]],
    background: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve a proxy until SIGTERM or SIGINT, together with a background task. Raises `ClickException`."""
    import uvicorn

    from gateway.server.connection_limits import ConnectionLimits
    from gateway.server.http1 import Http1Connections

    host, port = listen[0], find_port(*listen)
    # The headers Date and Server are those of the upstream server.
    options: dict[str, Any] = {
        "http": Http1Connections(ConnectionLimits()),
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "proxy_headers": False,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "log_level": "warning",
    }
    config = uvicorn.Config(app, host=host, port=port, lifespan="off", **options)

    async def run() -> None:
        task = asyncio.create_task(background()) if background else None
        try:
            await uvicorn.Server(config).serve()
        finally:
            if task:
                task.cancel()
            await close()

    click.echo(f"listening on {host}, port {port}", err=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(run())


def find_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0. Raises `ClickException` if this process cannot listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as probe:
            free: int = probe.getsockname()[1]
            return free
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}, port {port}: {error.strerror}") from None
