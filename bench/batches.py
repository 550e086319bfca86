"""Batches of thousands of profiles in one request, while others go on with their updates."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench import bodies, servers
from bench.load import CONNECTIONS, Run, measure, measure_to_the_end, send
from bench.report import Finding, Row, middle
from bench.scale import Scale
from bench.servers import Server

GOALS = {"json": 30_000, "xml": 20_000}
LATEST = 100
PAUSE = 100
"""Milliseconds between the requests of each of the others: some 300 a second in all."""


def batches(scale: Scale) -> Finding:
    """Batches in both media types."""
    with servers.gateway_on_sqlite() as gateway:
        send(gateway, bodies.batches("import", "json", scale.batch, range(scale.batch)))
        send(gateway, bodies.imports("json", others(scale)))
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
    # One process served both at once: what each of them cost it is not known.
    return [Run(name, number, replace(measured, cpu=None)) for name, measured in answers.items()]


def others(scale: Scale) -> range:
    """Profiles that no batch is about."""
    return range(scale.batch, scale.batch + scale.profiles)


def rows(media: str, runs: list[Run], scale: Scale) -> tuple[Row, Row]:
    """Profiles a second, and how long others waited."""
    each = middle(runs, f"batches, {media}") * scale.batch
    late = middle(runs, f"others, {media}", "p99")
    work = f"{scale.batch:,} profiles in one request, {media.upper()}"
    return (
        Row(work, f"≥ {GOALS[media]:,} profiles a second", f"{each:,.0f}/s"),
        Row(f"p99 of other requests meanwhile ({media.upper()})", f"≤ {LATEST} ms", f"{late:.0f} ms"),
    )
