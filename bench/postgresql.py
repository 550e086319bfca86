"""PostgreSQL on the same machine, with group commit and with one transaction for each change."""

from bench import bodies, servers
from bench.load import rounds, send
from bench.report import Finding, Row, middle, ratio
from bench.scale import Scale

GOAL = 0.25


def postgresql(scale: Scale) -> Finding:
    """JSON updates; each gateway has its own store in one server."""
    numbers = range(scale.profiles)
    with (
        servers.floor("json") as floor,
        servers.postgresql() as store,
        servers.gateway(store()) as grouped,
        servers.gateway(store(), command=servers.UNGROUPED) as ungrouped,
    ):
        for server in (grouped, ungrouped):
            send(server, bodies.imports("json", numbers))
        in_turn = {"floor": floor, "grouped": grouped, "one by one": ungrouped}
        runs = list(rounds(in_turn, lambda: bodies.updates("json", numbers), scale.seconds, scale.rounds))
    rate = f"({middle(runs, 'grouped'):,.0f}/s)"
    share, times = ratio(runs, "grouped", "floor"), ratio(runs, "grouped", "one by one")
    return Finding(
        (
            Row.at_least("JSON update on PostgreSQL", GOAL, share, "{:.2f} of the floor", rate),
            Row.at_least("JSON update on PostgreSQL against one transaction a request", None, times, "{:.1f} ×"),
        ),
        runs,
    )
