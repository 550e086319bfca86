"""The feed: how fast one subscriber reads it, and what a webhook or a relay costs the updates."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import orjson

from bench import bodies, servers
from bench.load import Run, rounds, send
from bench.report import Finding, Row, least_cpu, middle, ratio
from bench.scale import Scale
from bench.servers import Server
from bench.shares import RATE_LIMITS
from bench.volume import fill

MIN_RATE = 20_000
"""Events a second."""

MAX_GROWTH = 0.05
"""Of the memory, since a tenth of the feed was read."""

MIN_SHARE = 0.9
"""The rate of updates with a webhook or a relay, divided by the rate without one."""

PAGE = 1_000
"""Events of a page: the most that one request returns."""

RECEIVER = "/api/v1.1/profiles/update/"
"""A path that the floor accepts a POST at: it is the receiver of the webhook."""


@dataclass(frozen=True)
class Reading:
    """What the reader got in how many seconds, the server's processor time (s), and its memory (MiB) at each page."""

    events: int
    seconds: float
    cpu: float
    memory: Sequence[float]


def feed(scale: Scale) -> Finding:
    """All of it."""
    webhook, relay = runs_beside(scale, "webhook"), runs_beside(scale, "relay")
    rows = [*reading_rows(scale), row_beside(webhook, "webhook"), row_beside(relay, "relay")]
    return Finding(rows, [*webhook, *relay])


def reading_rows(scale: Scale) -> Iterator[Row]:
    """Read the whole feed: half of its events are creations, half are updates."""
    with servers.gateway_on_sqlite(RATE_LIMITS=RATE_LIMITS) as gateway:
        for _ in range(2):
            fill(gateway, scale.stored // 2, scale.batch)
        reading = read(gateway)
    work, cpu = f"feed of {reading.events:,} events", reading.cpu / reading.events * 1e6
    first = reading.memory[len(reading.memory) // 10]
    growth = max(reading.memory) / first - 1
    yield Row.at_least(work, MIN_RATE, reading.events / reading.seconds, "{:,.0f} events/s", f"(CPU {cpu:.0f} µs)")
    yield Row.at_most(f"{work}: growth of memory while it is read", MAX_GROWTH, growth, "{:.1%}", f"({first:.0f} MiB)")


def read(gateway: Server) -> Reading:
    """Read the feed from its beginning to its end, page by page, and decode each page."""
    events, memory = 0, []
    cpu, began = gateway.cpu(), time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", gateway.port)) as connection:
        for page in _pages(connection):
            events += len(page)
            memory.append(gateway.memory())
    return Reading(events, time.perf_counter() - began, gateway.cpu() - cpu, memory)


def _pages(connection: HTTPConnection) -> Iterator[Sequence[object]]:
    page = _call(connection, "GET", f"changes?limit={PAGE}")
    while page["events"]:
        yield page["events"]
        page = _call(connection, "GET", f"changes?limit={PAGE}&after={page['cursor']}")


def runs_beside(scale: Scale, kind: str) -> Sequence[Run]:
    """JSON updates, in turn to a gateway without a subscriber and to one that sends to a receiver meanwhile."""
    numbers = range(scale.profiles)
    with (
        servers.floor("json") as receiver,
        servers.folder() as made,
        servers.gateway_on_sqlite(RATE_LIMITS=RATE_LIMITS) as alone,
        servers.gateway_on_sqlite(
            RATE_LIMITS=RATE_LIMITS, SECRET_FILE=str(made / "secret"), WEBHOOK_PRIVATE="true"
        ) as delivering,
    ):
        in_turn = {f"no {kind}": alone, f"one {kind}": delivering}
        for server in in_turn.values():
            send(server, bodies.imports("json", numbers))
        _create(delivering, kind, f"http://127.0.0.1:{receiver.port}")
        return list(rounds(in_turn, lambda: bodies.updates("json", numbers), scale.seconds, scale.rounds))


def row_beside(runs: Sequence[Run], kind: str) -> Row:
    """The rate with a subscriber, divided by the rate without one."""
    with_one, without = f"one {kind}", f"no {kind}"
    cpu = [f"{least_cpu(runs, server):.0f}" for server in (with_one, without)]
    note = f"({middle(runs, with_one):,.0f}/s; CPU {cpu[0]} µs, without {cpu[1]})"
    share = ratio(runs, with_one, without)
    return Row.at_least(f"JSON update with one {kind}", MIN_SHARE, share, "{:.2f} of the rate without", note)


def _create(gateway: Server, kind: str, url: str) -> None:
    """Create a subscriber that sends to a receiver."""
    new = {
        "webhook": {"url": url + RECEIVER},
        "relay": {"to": "courier", "url": url, "credential": "any", "share": 1},
    }[kind]
    with closing(HTTPConnection("127.0.0.1", gateway.port)) as connection:
        _call(connection, "POST", f"{kind}s", new)


def _call(connection: HTTPConnection, method: str, path: str, tree: object = None) -> Any:
    """The tree of the response. Raises `SystemExit` where the gateway refuses."""
    body = None if tree is None else orjson.dumps(tree)
    headers = {"authorization": f"Bearer {bodies.TOKEN}", "content-type": "application/json"}
    connection.request(method, f"/gateway/v1/databases/1/{path}", body, headers)
    response = connection.getresponse()
    text = response.read()
    if response.status >= 300:
        raise SystemExit(f"{method} {path}: {response.status} {text.decode()}")
    return orjson.loads(text)
