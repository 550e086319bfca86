"""`python -m bench.noisy`: what a quiet client feels of its neighbours: large batches, and a token that never rests.

A quiet client sends an update every few milliseconds, alone and then beside each neighbour; its times are printed.
"""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from statistics import quantiles

import click

from bench import servers
from bench.bodies import TOKEN
from bench.servers import Server

PATH = "/api/v1.1/profiles/import"
PAUSE = 0.005
"""Seconds between the quiet client's updates."""


def request(path: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


def update(token: str, name: str) -> bytes:
    data = f'{{"email":"{name}@example.com","_fname":"Olly","visits":{time.perf_counter_ns()}}}'
    return request(PATH, f'{{"token":"{token}","db_id":1,"email":"{name}@example.com","data":{data}}}')


def batch(size: int, number: int) -> bytes:
    """So many profiles in about 10 MiB, others each time."""
    note = "x" * (10_000_000 // size - 60)
    rows = (f'{{"email":"b{number}-{row}@example.com","note":"{note}"}}' for row in range(size))
    return request(f"{PATH}_batch", f'{{"token":"{TOKEN}","db_id":1,"data":[{",".join(rows)}]}}')


class Client:
    """One connection that sends a request after the other."""

    @classmethod
    async def to(cls, server: Server) -> "Client":
        client = cls()
        client._reader, client._writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**24)
        return client

    async def answer(self, sent: bytes) -> int:
        """The status of the answer."""
        self._writer.write(sent)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self._reader.readexactly(int(length.partition(b":")[2]))
        return int(head[9:12])


async def quiet(server: Server, token: str, seconds: float) -> list[float]:
    """The times of the quiet client's updates, in milliseconds, in order."""
    client, times = await Client.to(server), []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        status = await client.answer(update(token, f"quiet{len(times) % 100}"))
        assert status == 200, status
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PAUSE)
    return sorted(times)


async def beside(server: Server, token: str, seconds: float, noise: Sequence[Awaitable[None]]) -> list[float]:
    """The same, while others make noise."""
    tasks = [asyncio.ensure_future(one) for one in noise]
    await asyncio.sleep(1)
    times = await quiet(server, token, seconds)
    assert not any(task.done() for task in tasks), "the noise ended early"
    for task in tasks:
        task.cancel()
    return times


async def batches(bodies: Callable[[], bytes], server: Server) -> None:
    client = await Client.to(server)
    while True:
        assert await client.answer(bodies()) == 200


async def restless(server: Server, name: str) -> None:
    client = await Client.to(server)
    for _ in count():
        await client.answer(update(TOKEN, name))


def summary_line(what: str, times: Sequence[float]) -> str:
    p99 = quantiles(times, n=100)[98]
    middle, most = times[len(times) // 2], times[-1]
    return f"{what:40} p50 {middle:7.1f} ms   p99 {p99:7.1f} ms   most {most:7.1f} ms   ({len(times)} updates)"


async def measured(server: Server, token: str, seconds: float, connections: int) -> None:
    click.echo(summary_line("alone", await quiet(server, token, seconds)))
    for size in (1_000, 10_000):
        made = (batch(size, number % 3) for number in count())
        bodies = [next(made) for _ in range(3)]
        turn = count()
        times = await beside(server, token, seconds, [batches(lambda: bodies[next(turn) % 3], server)])  # noqa: B023
        click.echo(summary_line(f"beside 10 MiB in {size} profiles", times))
    noise = [restless(server, f"noisy{number}") for number in range(connections)]
    times = await beside(server, token, seconds, noise)
    click.echo(summary_line(f"beside a token on {connections} connections", times))


@contextmanager
def gateway_with_two_tokens() -> Iterator[tuple[Server, str]]:
    with servers.sqlite() as store, servers.gateway(store, RATE_LIMITS="0") as server:
        made = [servers.BIN / "profile-gateway", "token", "create", "--database", "1", "--store", store]
        token = subprocess.run(made, check=True, capture_output=True, text=True).stdout.split()[-1]
        yield server, token


@click.command()
@click.option("--seconds", type=float, default=10.0, help="seconds beside each neighbour")
@click.option("--connections", type=int, default=200, help="connections of the token that never rests")
def main(seconds: float, connections: int) -> None:
    """Measure what a quiet client feels of its neighbours."""
    with gateway_with_two_tokens() as (server, token):
        asyncio.run(measured(server, token, seconds, connections))


if __name__ == "__main__":
    main()
