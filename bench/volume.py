"""A store of a million profiles against one of a thousand."""

import random
from collections.abc import Sequence

from bench import bodies, servers
from bench.load import Run, measure, send
from bench.report import Finding, Row, middle, ratio
from bench.scale import Scale
from bench.servers import Server

GOAL = 0.9
FEW = 1_000
AT_ONCE = 100_000


def volume(scale: Scale) -> Finding:
    """JSON updates of all profiles of the small store, and of random ones of the large store."""
    sample = random.Random(1).sample(range(scale.stored), scale.profiles * 2)
    with servers.gateway_on_sqlite() as small, servers.gateway_on_sqlite() as large:
        in_turn: dict[str, tuple[Server, Sequence[int]]] = {"few": (small, range(FEW)), "many": (large, sample)}
        fill(small, FEW, scale.batch)
        fill(large, scale.stored, scale.batch)
        for server, numbers in in_turn.values():
            send(server, bodies.imports("json", numbers))
        runs = [
            Run(name, number, measure(server, bodies.updates("json", numbers), scale.seconds))
            for number in range(1, scale.rounds + 1)
            for name, (server, numbers) in in_turn.items()
        ]
    work = f"{scale.stored:,} profiles stored against {FEW:,}"
    rate = f"({middle(runs, 'many'):,.0f}/s)"
    return Finding([Row.at_least(work, GOAL, ratio(runs, "many", "few"), "{:.2f} of the rate", rate)], runs)


def fill(server: Server, count: int, batch: int) -> None:
    """Create profiles, by batches."""
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        send(server, bodies.batches("import", "json", batch, numbers), connections=2)
