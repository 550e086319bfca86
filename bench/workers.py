"""Two processes of the gateway against one, on both engines, with the load generator beside them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import bodies, servers
from bench.load import rounds, send
from bench.report import Finding, Row, ratio
from bench.scale import Scale
from bench.servers import Server

ENGINES = ("SQLite", "PostgreSQL")


def workers(scale: Scale) -> Finding:
    """Updates in JSON."""
    numbers = range(scale.profiles)
    with serving() as taking_turns:
        for server in taking_turns.values():
            send(server, bodies.imports("json", numbers))
        runs = list(rounds(taking_turns, lambda: bodies.updates("json", numbers), scale.seconds, scale.rounds))
    return Finding([row(engine, ratio(runs, f"{engine}, 2", f"{engine}, 1")) for engine in ENGINES], runs)


@contextmanager
def serving() -> Iterator[dict[str, Server]]:
    """One and two processes on each engine, on stores of their own."""
    with ExitStack() as open_, servers.postgresql() as on_postgresql:
        yield {
            f"{engine}, {count}": open_.enter_context(servers.gateway(store, WORKERS=str(count)))
            for engine in ENGINES
            for count in (1, 2)
            for store in [on_postgresql() if engine == "PostgreSQL" else open_.enter_context(servers.sqlite())]
        }


def row(engine: str, times: float) -> Row:
    """What a second process brings on an engine."""
    return Row(f"two processes against one, {engine}", "never slower", f"{times:.2f} ×")
