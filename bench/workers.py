"""Two processes of the gateway against one, on both engines, beside the load generator."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import bodies, servers
from bench.load import rounds, send
from bench.report import Finding, Row, ratio
from bench.scale import Scale
from bench.servers import Server

ENGINES = ("SQLite", "PostgreSQL")


def workers(scale: Scale) -> Finding:
    """JSON updates."""
    numbers = range(scale.profiles)
    with serving() as in_turn:
        for server in in_turn.values():
            send(server, bodies.imports("json", numbers))
        runs = list(rounds(in_turn, lambda: bodies.updates("json", numbers), scale.seconds, scale.rounds))
    return Finding([row(engine, ratio(runs, f"{engine}, 2", f"{engine}, 1")) for engine in ENGINES], runs)


@contextmanager
def serving() -> Iterator[dict[str, Server]]:
    """One and two processes on each engine, each gateway with its own store."""
    with ExitStack() as open_, servers.postgresql() as on_postgresql:
        yield {
            f"{engine}, {count}": open_.enter_context(servers.gateway(store, WORKERS=str(count)))
            for engine in ENGINES
            for count in (1, 2)
            for store in [on_postgresql() if engine == "PostgreSQL" else open_.enter_context(servers.sqlite())]
        }


def row(engine: str, times: float) -> Row:
    """The rate of two processes on an engine, divided by the rate of one."""
    return Row.at_least(f"two processes against one, {engine}", 1.0, times, "{:.2f} ×")
