"""`python -m bench.slow_clients`: a thousand clients that never finish, and what a good one feels of them.

Some send nothing, some half of their headers, some half of a body, some a byte at a time; all to 127.0.0.1. Prints the
good client's times without and beside them, and when the last of them was let go.
"""

import asyncio
import time
from contextlib import suppress

import click

from bench import servers
from bench.bodies import TOKEN
from bench.noisy import PATH, quiet, request, shown
from bench.servers import Server

LONGEST = 60.0
"""Seconds after which a slow client gives up itself."""

WHOLE = request(PATH, f'{{"token":"{TOKEN}","db_id":1,"email":"slow@example.com","data":{{}}}}')
STARTS = {
    "silent": b"",
    "half of the headers": WHOLE[:60],
    "half of a body": WHOLE[:-20],
    "a byte at a time": WHOLE[:10],
}


async def slow(server: Server, start: bytes, dribbles: bool) -> float:
    """Seconds until the server let this client go."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    began = time.perf_counter()
    with suppress(ConnectionError):
        writer.write(start)
        while time.perf_counter() - began < LONGEST:
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), 1)
                break
            if dribbles:
                writer.write(b"x")
    writer.close()
    return time.perf_counter() - began


async def measured(server: Server, seconds: float, clients: int) -> None:
    click.echo(shown("alone", await quiet(server, TOKEN, seconds)))
    kinds = list(STARTS)
    tasks = {}
    for number in range(clients):
        kind = kinds[number % len(kinds)]
        tasks[asyncio.ensure_future(slow(server, STARTS[kind], kind.startswith("a byte")))] = kind
        if number % 50 == 0:
            await asyncio.sleep(0.01)
    click.echo(shown(f"beside {clients} slow clients", await quiet(server, TOKEN, seconds)))
    await asyncio.wait(tasks)
    for kind in kinds:
        last = max(task.result() for task, its in tasks.items() if its == kind)
        click.echo(f"{kind:24} the last was let go after {last:5.1f} s")


@click.command()
@click.option("--seconds", type=float, default=8.0, help="seconds in which the good client is measured, each time")
@click.option("--clients", type=click.IntRange(1, 5_000), default=1_000, help="slow clients")
def main(seconds: float, clients: int) -> None:
    """Measure what a good client feels of slow ones."""
    with servers.sqlite() as store, servers.gateway(store) as server:
        asyncio.run(measured(server, seconds, clients))


if __name__ == "__main__":
    main()
