"""How long it takes from the command to the first answer that the gateway is ready."""

from statistics import median

from bench import servers
from bench.report import Finding, Row
from bench.scale import Scale

GOAL = 1.0


def start(scale: Scale) -> Finding:
    """On an empty store, which gets its tables, and on the same again."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(scale.rounds):
        with servers.sqlite() as store:
            for seconds in (first, again):
                with servers.gateway(store) as gateway:
                    seconds.append(gateway.seconds_to_ready)
    return Finding([row("an empty store", median(first)), row("a known store", median(again))])


def row(store: str, seconds: float) -> Row:
    return Row(f"start to ready, on {store}", f"≤ {GOAL:g} s", f"{seconds:.2f} s")
