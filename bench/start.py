"""The time from the command to the first response that the gateway is ready."""

from statistics import median

from bench import servers
from bench.report import Finding, Row
from bench.scale import Scale

GOAL = 1.0


def start(scale: Scale) -> Finding:
    """On an empty store, in which the tables are created, and on the same store again."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(scale.rounds):
        with servers.sqlite() as store:
            for seconds in (first, again):
                with servers.gateway(store) as gateway:
                    seconds.append(gateway.seconds_to_ready)
    return Finding([row("an empty store", median(first)), row("an existing store", median(again))])


def row(store: str, seconds: float) -> Row:
    return Row.at_most(f"start to ready, on {store}", GOAL, seconds, "{:.2f} s")
