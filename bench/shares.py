"""Shapes of requests beside the floor and the peers, in turn in one run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count

from bench import servers
from bench.environment import has_npm
from bench.load import Run, rounds, send
from bench.report import Finding, Row, least_cpu, middle, ratio
from bench.scale import Scale
from bench.servers import Server
from bench.shapes import Peer, Shape

MAX_SPREAD = 2.0
"""The goal for the p99 of a shape, divided by its mean."""

MAX_SHARE_OF_P99 = 1.0
"""The goal for the p99 of a shape, divided by Fastify's."""

CREATIONS_PER_SECOND = 15_000
"""More than a server creates: each request of a creation must name a new profile."""

NEW = 1_000_000
"""The number of the first new profile."""

LENGTH_TOLERANCE = 0.1
RATE_LIMITS = "1e6"
"""The factor of the vendors' rate limits: they are checked, but no load reaches them."""

NAMES = {"fastify": "Fastify", "fastapi": "FastAPI"}

_blocks = count()


def shares(shapes: Sequence[Shape], scale: Scale) -> Finding:
    """The rows of some shapes, measured one after the other on one store."""
    rows: list[Row] = []
    runs: list[Run] = []
    with ExitStack() as open_:
        gateway = open_.enter_context(servers.gateway_on_sqlite(RATE_LIMITS=RATE_LIMITS))
        floors = {media: open_.enter_context(servers.floor(media)) for media in {shape.media for shape in shapes}}
        peers = {name: open_.enter_context(servers.PEERS[name]()) for name in _peers(shapes, scale)}
        for index, shape in enumerate(shapes):
            beside = {"floor": floors[shape.media], "gateway": gateway}
            beside |= {name: server for name, server in peers.items() if name in shape.peers}
            known = range(index * scale.profiles, (index + 1) * scale.profiles)
            found = turns(shape, beside, known, scale)
            check_floor(shape, beside, known)
            rows += shape_rows(shape, found)
            runs += found
    return Finding(rows, runs)


def turns(shape: Shape, beside: Mapping[str, Server], known: Sequence[int], scale: Scale) -> list[Run]:
    """The turns of each server, named `SHAPE, SERVER`. The profiles of the numbers are created first."""
    for name, server in beside.items():
        if shape.prepare and name != "floor":
            send(server, shape.prepare(known))
    named = {f"{shape.title}, {name}": server for name, server in beside.items()}
    found = list(
        rounds(
            named,
            lambda: shape.requests(known if shape.prepare else new_numbers(scale)),
            scale.seconds,
            scale.rounds,
        )
    )
    for run in found:
        if not shape.prepare and not run.server.endswith(", floor") and run.measured.requests > new_count(scale):
            raise SystemExit(f"{run.server}: more requests than new profiles")
    return found


def new_numbers(scale: Scale) -> range:
    """The numbers of profiles that no request has named, as many as can be created in one turn."""
    first = NEW + next(_blocks) * new_count(scale)
    return range(first, first + new_count(scale))


def new_count(scale: Scale) -> int:
    """The number of new profiles for one turn."""
    return int(CREATIONS_PER_SECOND * scale.seconds)


def check_floor(shape: Shape, beside: Mapping[str, Server], known: Sequence[int]) -> None:
    """Raise `SystemExit` where the floor's response has another status or length than the gateway's."""
    request = next(iter(shape.requests(known[:1])))
    status, length = servers.exchange(beside["gateway"], request)
    floor_status, floor_length = servers.exchange(beside["floor"], request)
    if status != floor_status or abs(length - floor_length) > length * LENGTH_TOLERANCE:
        raise SystemExit(f"{shape.title}: floor.py has {floor_status}, {floor_length} bytes for {status}, {length}")


def shape_rows(shape: Shape, runs: Sequence[Run]) -> Iterator[Row]:
    """The share of the floor, the p99, and both beside each peer that was measured."""
    gateway, floor = f"{shape.title}, gateway", f"{shape.title}, floor"
    p99, spread = middle(runs, gateway, "p99"), middle(runs, gateway, "spread")
    figures = (
        f"({middle(runs, gateway):,.0f}/s; CPU {least_cpu(runs, gateway):.0f} µs, floor {least_cpu(runs, floor):.0f})"
    )
    yield Row.at_least(shape.title, shape.share, ratio(runs, gateway, floor), "{:.2f} of the floor", figures)
    yield Row.at_most(f"{shape.title}: p99", MAX_SPREAD, spread, "{:.1f} × its mean", f"({p99:.1f} ms)")
    for peer, goal in shape.peers.items():
        if any(run.server == f"{shape.title}, {peer}" for run in runs):
            yield from _peer_rows(shape, runs, peer, goal)


def _peer_rows(shape: Shape, runs: Sequence[Run], peer: Peer, goal: float | None) -> Iterator[Row]:
    gateway, beside = f"{shape.title}, gateway", f"{shape.title}, {peer}"
    its_p99 = f"({middle(runs, beside, 'p99'):.1f} ms)"
    its_rate = f"({middle(runs, beside):,.0f}/s; CPU {least_cpu(runs, beside):.0f} µs)"
    max_p99 = MAX_SHARE_OF_P99 if peer == "fastify" else None
    yield Row.at_least(f"{shape.title} beside {NAMES[peer]}", goal, ratio(runs, gateway, beside), "{:.2f} ×", its_rate)
    yield Row.at_most(
        f"{shape.title}: p99 beside {NAMES[peer]}", max_p99, ratio(runs, gateway, beside, "p99"), "{:.2f} ×", its_p99
    )


def _peers(shapes: Sequence[Shape], scale: Scale) -> Sequence[Peer]:
    """The peers of the shapes that can be started here."""
    wanted = dict.fromkeys(peer for shape in shapes for peer in shape.peers)
    return [peer for peer in wanted if peer != "fastify" or (scale.with_fastify and has_npm())]
