"""The command `shadow`. It imports the testkit when it runs, so that serving does not load it."""

import click

from gateway.cli.listening import LISTEN, serve_proxy
from gateway.cli.options import server_url


@click.command()
@click.option(
    "--to", "first", callback=server_url, required=True, metavar="URL", help="the server whose responses clients get"
)
@click.option(
    "--compare", "second", callback=server_url, required=True, metavar="URL", help="the server to compare with it"
)
@click.option("--values", is_flag=True, help="print values too, which may be personal")
@LISTEN
def shadow(first: str, second: str, values: bool, listen: tuple[str, int]) -> None:
    """Forward requests to one server, send copies to another, and print where the responses differ in meaning.

    Each line is a JSON object: the call, and the places that differ, with the types of the values. The other server
    receives the requests one by one, in order. If it is slow or unavailable, the requests that it misses are counted,
    and no client waits.
    """
    from gateway.testkit.proxy import Forwarder, UpstreamServer
    from gateway.testkit.shadow import Shadow

    first_server, second_server = UpstreamServer(first), UpstreamServer(second)
    comparison = Shadow(first_server, second_server, click.echo, values)

    async def close() -> None:
        await first_server.close()
        await second_server.close()

    serve_proxy(Forwarder(first_server, comparison.enqueue), listen, close, comparison.run)
