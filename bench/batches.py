"""Batches of thousands of profiles in one request, while other clients send updates."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench import bodies, servers
from bench.load import CONNECTIONS, Run, measure, measure_to_the_end, send
from bench.report import Finding, Row, middle
from bench.scale import Scale
from bench.servers import Server

GOALS = {"json": 20_000, "xml": 15_000}
"""Profiles a second."""

MAX_P99 = 100
"""Milliseconds of the other requests."""

PAUSE = 100
"""Milliseconds between the requests of each other client: about 300 a second together."""


def batches(scale: Scale) -> Finding:
    """Batches in both media types."""
    with servers.gateway_on_sqlite() as gateway:
        for media in GOALS:
            send(gateway, bodies.batches("import", media, scale.batch, range(scale.batch)))
            send(gateway, bodies.imports(media, others(scale)))
        runs = []
        for number in range(1, scale.rounds + 1):
            for media in GOALS:
                runs += meanwhile(gateway, media, number, scale)
    return Finding([row for media in GOALS for row in rows(media, runs, scale)], runs)


def meanwhile(gateway: Server, media: str, number: int, scale: Scale) -> list[Run]:
    """Batches, one after another on one connection, and updates of other profiles on others."""
    seconds, singles = scale.seconds * 2, bodies.updates(media, others(scale))
    sent = bodies.batches("update", media, scale.batch, list(range(scale.batch)) * 2)
    with ThreadPoolExecutor() as both:
        updates = both.submit(measure, gateway, singles, seconds, CONNECTIONS, PAUSE)
        batches = both.submit(measure_to_the_end, gateway, sent, seconds, 1)
    answers = {f"batches, {media}": batches.result(), f"others, {media}": updates.result()}
    # One process served both at the same time: the processor time of each is unknown.
    return [Run(name, number, replace(measured, cpu=None)) for name, measured in answers.items()]


def others(scale: Scale) -> range:
    """The profiles that no batch contains."""
    return range(scale.batch, scale.batch + scale.profiles)


def rows(media: str, runs: list[Run], scale: Scale) -> tuple[Row, Row]:
    """Profiles a second, and the p99 of the other requests."""
    each = middle(runs, f"batches, {media}") * scale.batch
    p99 = middle(runs, f"others, {media}", "p99")
    work = f"{media.upper()} batch of {scale.batch:,} known profiles"
    return (
        Row.at_least(work, GOALS[media], each, "{:,.0f} profiles/s"),
        Row.at_most(f"{work}: p99 of other requests meanwhile", MAX_P99, p99, "{:.0f} ms"),
    )
