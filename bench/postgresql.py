"""PostgreSQL on the same machine: changes that wait together in one transaction, against a transaction for each."""

from bench import bodies, servers
from bench.load import rounds, send
from bench.report import Finding, Row, middle, ratio
from bench.scale import Scale

TIMES = 5
GOAL = 0.35


def postgresql(scale: Scale) -> Finding:
    """Updates in JSON, on stores of their own in one server."""
    numbers = range(scale.profiles)
    with (
        servers.floor("json") as floor,
        servers.postgresql() as store,
        servers.gateway(store()) as grouped,
        servers.gateway(store(), command=servers.UNGROUPED) as ungrouped,
    ):
        for server in (grouped, ungrouped):
            send(server, bodies.imports("json", numbers))
        taking_turns = {"floor": floor, "grouped": grouped, "one by one": ungrouped}
        runs = list(rounds(taking_turns, lambda: bodies.updates("json", numbers), scale.seconds, scale.rounds))
    rate = middle(runs, "grouped")
    times, part = ratio(runs, "grouped", "one by one"), ratio(runs, "grouped", "floor")
    return Finding(
        (
            Row("PostgreSQL on the same machine, grouped", f"≥ {GOAL:.2f} of the floor", f"{part:.2f} ({rate:,.0f}/s)"),
            Row("against one transaction a request", f"≥ {TIMES} ×", f"{times:.1f} ×"),
        ),
        runs,
    )
