"""The command `record`. It imports the testkit when it runs, so that serving does not load it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.listening import LISTEN, serve_proxy
from gateway.cli.options import server_url

if TYPE_CHECKING:
    from gateway.testkit.proxy import ForwardedRequest, ForwardedResponse


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--upstream", callback=server_url, required=True, metavar="URL", help="the server that responds")
@click.option("--personal", multiple=True, metavar="NAME", help="a further field with personal values; may be repeated")
@LISTEN
def record(folder: Path, upstream: str, personal: Sequence[str], listen: tuple[str, int]) -> None:
    """Run a proxy between clients and a server, and write each conversation as a case into DIR.

    Requests and responses pass unchanged. In the cases, tokens and personal values are pseudonyms, always the same one
    for the same value, and the ids and times of responses are matchers.
    """
    from gateway.dialects import load_dialects
    from gateway.testkit.proxy import Forwarder, UpstreamServer
    from gateway.testkit.pseudonyms import Pseudonyms
    from gateway.testkit.record import NotRecordable, Recorder

    server = UpstreamServer(upstream)
    recorder = Recorder(folder, server.authority, Pseudonyms(personal), load_dialects({}))

    async def observe(request: "ForwardedRequest", response: "ForwardedResponse") -> None:
        try:
            if case := await asyncio.to_thread(recorder.record, request, response):
                click.echo(str(case))
        except NotRecordable as error:
            click.echo(f"not written: a {request.method}, since {error}", err=True)
        except OSError as error:
            click.echo(f"not written: {error.filename}: {error.strerror}", err=True)

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{folder}: {error.strerror}", param_hint="DIR") from None
    serve_proxy(Forwarder(server, observe), listen, server.close)
