"""The commands `record` and `shadow`. What they need is imported when they run, so that serving never loads it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.testkit.proxy import ForwardedRequest, ForwardedResponse, Forwarder


def url(_: click.Context, __: click.Parameter, text: str) -> str:
    """A server's URL. Raises `BadParameter`."""
    if not text.startswith(("http://", "https://")):
        raise click.BadParameter(f"{text!r} does not begin with http:// or https://")
    return text


def address(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, int]:
    """Host and port. Raises `BadParameter`."""
    host, _, port = text.rpartition(":")
    if not (host and port.isdigit() and int(port) < 65_536):
        raise click.BadParameter(f"{text!r} is not of the form HOST:PORT")
    return host.strip("[]"), int(port)


LISTEN = click.option(
    "--listen", callback=address, default="127.0.0.1:8081", show_default=True, metavar="HOST:PORT", help="own address"
)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--upstream", callback=url, required=True, metavar="URL", help="the server that answers")
@click.option("--personal", multiple=True, metavar="NAME", help="a field of your own that holds personal values too")
@LISTEN
def record(folder: Path, upstream: str, personal: Sequence[str], listen: tuple[str, int]) -> None:
    """Stand between clients and a server, and write each conversation as a case into DIR.

    Everything passes byte for byte. In what is written, tokens and personal values have stand-ins, the same value the
    same one everywhere; ids and times of answers are masks.
    """
    from gateway.dialects import load_dialects
    from gateway.testkit.proxy import Forwarder, UpstreamServer
    from gateway.testkit.pseudonyms import Pseudonyms
    from gateway.testkit.record import NotRecordable, Recorder

    server = UpstreamServer(upstream)
    recorder = Recorder(folder, server.authority, Pseudonyms(personal), load_dialects({}))

    async def seen(sent: "ForwardedRequest", got: "ForwardedResponse") -> None:
        try:
            if written := await asyncio.to_thread(recorder.record, sent, got):
                click.echo(str(written))
        except NotRecordable as reason:
            click.echo(f"not written: a {sent.method}, since {reason}", err=True)
        except OSError as reason:
            click.echo(f"not written: {reason.filename}: {reason.strerror}", err=True)

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise click.BadParameter(f"{folder}: {reason.strerror}", param_hint="DIR") from None
    _serve(Forwarder(server, seen), listen, server.close)


@click.command()
@click.option("--to", "first", callback=url, required=True, metavar="URL", help="the server whose answers clients get")
@click.option("--compare", "other", callback=url, required=True, metavar="URL", help="the server held against it")
@click.option("--values", is_flag=True, help="tell values too, which may be personal")
@LISTEN
def shadow(first: str, other: str, values: bool, listen: tuple[str, int]) -> None:
    """Answer from one server, send the same to another, and print where their answers differ in meaning.

    Each line is a JSON object: the call, and the places that differ, with the types that stand there. The other server
    gets the requests one by one, in order; where it is slow or away, what it misses is counted, and no client waits.
    """
    from gateway.testkit.proxy import Forwarder, UpstreamServer
    from gateway.testkit.shadow import Shadow

    server, held = UpstreamServer(first), UpstreamServer(other)
    compared = Shadow(server, held, click.echo, values)

    async def close() -> None:
        await server.close()
        await held.close()

    _serve(Forwarder(server, compared.enqueue), listen, close, compared.run)


def _serve(
    app: "Forwarder",
    listen: tuple[str, int],
    close: Callable[[], Awaitable[None]],
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, with some work beside it."""
    import uvicorn

    host, port = _free(*listen)
    # Date and Server are the other server's to say.
    own: dict[str, Any] = {"access_log": False, "server_header": False, "date_header": False, "log_level": "warning"}
    config = uvicorn.Config(app, host=host, port=port, lifespan="off", **own)

    async def served() -> None:
        work = asyncio.create_task(beside()) if beside else None
        try:
            await uvicorn.Server(config).serve()
        finally:
            if work:
                work.cancel()
            await close()

    click.echo(f"listening on {host}, port {port}", err=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(served())


def _free(host: str, port: int) -> tuple[str, int]:
    """The address, its port chosen where it is 0. Raises `ClickException` where nobody can listen there."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return host, probe.getsockname()[1]
    except OSError as reason:
        raise click.ClickException(f"cannot listen on {host}, port {port}: {reason.strerror}") from None
