"""`python -m bench [TOPIC ...]`: measures, prints the table, writes `bench/results.md` after all topics."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import click

from bench import batches, feed, memory, observed, postgresql, report, start, volume, workers
from bench.environment import has_npm
from bench.report import Finding
from bench.scale import SMOKE, Scale
from bench.shapes import SHAPES
from bench.shares import shares

Measure = Callable[[Scale], Finding]

TOPICS: dict[str, Measure] = {
    **{topic: partial(shares, shapes) for topic, shapes in SHAPES.items()},
    "batches": batches.batches,
    "volume": volume.volume,
    "postgresql": postgresql.postgresql,
    "workers": workers.workers,
    "feed": feed.feed,
    "observed": observed.observed,
    "memory": memory.memory,
    "start": start.start,
}
"""All topics, in the order of the table. A topic starts its servers, and removes everything at its end."""

SMOKE_TOPICS: dict[str, Measure] = {
    "requests": partial(shares, [shape for shapes in SHAPES.values() for shape in shapes]),
    **{topic: measure for topic, measure in TOPICS.items() if topic not in SHAPES},
}
"""The same in less time: one store for all shapes."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("topics", nargs=-1, type=click.Choice([*TOPICS]), metavar=f"[{'|'.join(TOPICS)}]...")
@click.option("--seconds", type=float, help="seconds of one turn of one server")
@click.option("--rounds", type=int, help="turns of each server")
@click.option("--requests", type=int, help="requests after which memory is measured again")
@click.option("--smoke", is_flag=True, help="briefly, to test that everything runs; the figures mean nothing")
def main(topics: tuple[str, ...], seconds: float | None, rounds: int | None, requests: int | None, smoke: bool) -> None:
    """Measure some topics, or all of them."""
    scale = SMOKE if smoke else Scale()
    scale = replace(
        scale,
        seconds=seconds or scale.seconds,
        rounds=rounds or scale.rounds,
        requests=requests or scale.requests,
    )
    machine = list(report.machine(scale))
    click.echo("\n".join(machine))
    if scale.with_fastify and not has_npm():
        click.echo("npm is missing: measured without Fastify")
    found = {}
    measures = SMOKE_TOPICS if smoke and not topics else TOPICS
    for topic in topics or measures:
        found[topic] = measures[topic](scale)
        click.echo(f"\n{report.of(topic, found[topic])}")
    if found.keys() == TOPICS.keys() and not smoke:
        report.RESULTS.write_text(report.written(machine, found))
        click.echo(f"\nwritten: {report.RESULTS}")


main()
