"""`python -m bench [TOPIC ...]`: measures, prints the table of goals, writes `bench/results.md` after a full run."""

from collections.abc import Callable
from dataclasses import replace

import click

from bench import batches, memory, postgresql, report, start, updates, volume, workers
from bench.report import Finding
from bench.scale import SMOKE, Scale

TOPICS: dict[str, Callable[[Scale], Finding]] = {
    "json": updates.json,
    "xml": updates.xml,
    "batches": batches.batches,
    "volume": volume.volume,
    "postgresql": postgresql.postgresql,
    "workers": workers.workers,
    "memory": memory.memory,
    "start": start.start,
}
"""What can be measured, in the order of the table. A topic starts what it needs, and leaves nothing behind."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("topics", nargs=-1, type=click.Choice([*TOPICS]), metavar=f"[{'|'.join(TOPICS)}]...")
@click.option("--seconds", type=float, help="seconds of one turn of one server")
@click.option("--rounds", type=int, help="rounds")
@click.option("--smoke", is_flag=True, help="as little as shows that it runs; the figures say nothing")
def main(topics: tuple[str, ...], seconds: float | None, rounds: int | None, smoke: bool) -> None:
    """Measure some topics, or all of them."""
    scale = SMOKE if smoke else Scale()
    scale = replace(scale, seconds=seconds or scale.seconds, rounds=rounds or scale.rounds)
    machine = list(report.machine(scale))
    click.echo("\n".join(machine))
    found = {}
    for topic in topics or TOPICS:
        found[topic] = TOPICS[topic](scale)
        click.echo(f"\n{report.of(topic, found[topic])}")
    if found.keys() == TOPICS.keys() and scale == Scale():
        report.RESULTS.write_text(report.written(machine, found))
        click.echo(f"\n{report.RESULTS} is written")


main()
