"""What metrics, the console and kept refused requests cost the updates together."""

from collections.abc import Iterator, Sequence
from itertools import chain

from bench import servers
from bench.load import Run
from bench.report import Finding, Row, least_cpu, middle, ratio
from bench.scale import Scale
from bench.shapes import SHAPES, Shape
from bench.shares import RATE_LIMITS, turns

MIN_SHARE = 0.9
"""The rate of a gateway that is observed, divided by that of one that is not."""

OBSERVED = {"METRICS_TOKEN": "token-of-the-metrics", "CONSOLE": "true", "KEEP_REFUSED_DAYS": "3"}


def observed(scale: Scale) -> Finding:
    """Updates in JSON and in XML, in turn to a gateway that is not observed and to one that is."""
    shapes = SHAPES["updates"]
    found = [_runs(shape, scale) for shape in shapes]
    rows = [row for shape, runs in zip(shapes, found, strict=True) for row in _rows(shape, runs)]
    return Finding(rows, list(chain(*found)))


def _runs(shape: Shape, scale: Scale) -> Sequence[Run]:
    with (
        servers.folder() as made,
        servers.gateway_on_sqlite(RATE_LIMITS=RATE_LIMITS) as alone,
        servers.gateway_on_sqlite(RATE_LIMITS=RATE_LIMITS, SECRET_FILE=str(made / "secret"), **OBSERVED) as watched,
    ):
        return turns(shape, {"alone": alone, "observed": watched}, range(scale.profiles), scale)


def _rows(shape: Shape, runs: Sequence[Run]) -> Iterator[Row]:
    alone, watched = (f"{shape.title}, {name}" for name in ("alone", "observed"))
    note = (
        f"({middle(runs, watched):,.0f}/s; CPU {least_cpu(runs, watched):.0f} µs, without {least_cpu(runs, alone):.0f})"
    )
    work = f"{shape.title} with metrics, console and refused requests kept"
    yield Row.at_least(work, MIN_SHARE, ratio(runs, watched, alone), "{:.2f} of the rate without", note)
