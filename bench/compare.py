"""`python -m bench.compare [REVISION]`: a commit of the gateway beside the working tree, in turn, in two minutes.

Without a revision it is HEAD where files differ from it, else the commit before. Both run in this environment.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from statistics import median

import click

from bench import servers
from bench.environment import HOME, ROOT
from bench.load import Run
from bench.report import least_cpu, line, middle, ratios, table
from bench.scale import Scale
from bench.shapes import SHAPES, Shape
from bench.shares import RATE_LIMITS, turns

SCALE = Scale(seconds=1, rounds=9, profiles=2_000)
BY_TITLE = {shape.title: shape for shapes in SHAPES.values() for shape in shapes}
TITLES = ("JSON update", "XML update", "JSON update of the phone", "JSON creation by import", "profiles/get")
BASE = HOME / "base"
HEADS = ("shape", "rate", "ratio: median (min to max)", "CPU a request, min", "ratio")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("revision", default="")
@click.option("--rounds", default=SCALE.rounds, show_default=True, help="turns of each of the two")
@click.option("--shape", "titles", multiple=True, type=click.Choice([*BY_TITLE]), help="a shape, instead of the usual")
def main(revision: str, rounds: int, titles: Sequence[str]) -> None:
    """Compare the working tree with a revision."""
    base = revision or ("HEAD" if git("status", "--porcelain", "--untracked-files=no") else "HEAD~1")
    scale = replace(SCALE, rounds=rounds)
    click.echo(f"base: {git('log', '-1', '--format=%h %s', base)}; ratio: working tree divided by base\n")
    click.echo(table(HEADS, []))
    with checkout(base), ExitStack() as open_:
        beside = {
            "base": open_.enter_context(servers.gateway_on_sqlite(BASE, RATE_LIMITS=RATE_LIMITS)),
            "tree": open_.enter_context(servers.gateway_on_sqlite(RATE_LIMITS=RATE_LIMITS)),
        }
        for index, title in enumerate(titles or TITLES):
            known = range(index * scale.profiles, (index + 1) * scale.profiles)
            click.echo(row(BY_TITLE[title], turns(BY_TITLE[title], beside, known, scale)))


def row(shape: Shape, runs: Sequence[Run]) -> str:
    """The figures of a shape."""
    base, tree = f"{shape.title}, base", f"{shape.title}, tree"
    rates = sorted(ratios(runs, tree, base, "rate"))
    base_cpu, tree_cpu = least_cpu(runs, base), least_cpu(runs, tree)
    return line(
        shape.title,
        f"{middle(runs, base):,.0f} → {middle(runs, tree):,.0f}/s",
        f"{median(rates):.2f} ({rates[0]:.2f} to {rates[-1]:.2f})",
        f"{base_cpu:.0f} → {tree_cpu:.0f} µs",
        f"{tree_cpu / base_cpu:.2f}",
    )


@contextmanager
def checkout(revision: str) -> Iterator[None]:
    """The files of a revision in `.bench/base`."""
    HOME.mkdir(exist_ok=True)
    if BASE.exists():
        git("worktree", "remove", "--force", str(BASE))
    git("worktree", "add", "--force", "--detach", str(BASE), revision)
    try:
        yield
    finally:
        git("worktree", "remove", "--force", str(BASE))


def git(*arguments: str) -> str:
    """The output of a git command in this checkout."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
