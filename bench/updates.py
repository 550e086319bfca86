"""Updates of the seed's size over some thousands of profiles: the gateway beside the floor, and beside the peer."""

from bench import bodies, servers
from bench.load import rounds, send
from bench.report import Finding, Row, middle, ratio
from bench.scale import Scale

GOALS = {"json": 0.70, "xml": 0.55}
SLOWEST = 3.0
PEERS = 20


def json(scale: Scale) -> Finding:
    """Updates in JSON."""
    return measured("json", scale)


def xml(scale: Scale) -> Finding:
    """Updates in XML."""
    return measured("xml", scale)


def measured(media: str, scale: Scale) -> Finding:
    """Updates in a media type."""
    numbers = range(scale.profiles)
    with servers.floor(media) as floor, servers.gateway_on_sqlite() as gateway, servers.peer() as beside:
        taking_turns = {"floor": floor, "gateway": gateway, "peer": beside}
        for server in (gateway, beside):
            send(server, bodies.imports(media, numbers))
        runs = list(rounds(taking_turns, lambda: bodies.updates(media, numbers), scale.seconds, scale.rounds))
    rate, p99 = middle(runs, "gateway"), middle(runs, "gateway", "p99")
    work = f"{media.upper()} update of the seed's size, {scale.profiles:,} profiles in rotation"
    return Finding(
        (
            Row(work, f"≥ {GOALS[media]:.2f} of the floor", f"{ratio(runs, 'gateway', 'floor'):.2f} ({rate:,.0f}/s)"),
            Row(
                f"its p99 at 32 connections ({media.upper()})",
                f"≤ {SLOWEST:g} × the floor's",
                f"{ratio(runs, 'gateway', 'floor', 'p99'):.1f} × ({p99:.1f} ms)",
            ),
            Row(
                f"the same beside a service written in an afternoon ({media.upper()})",
                f"≥ {PEERS:g} × its rate",
                f"{ratio(runs, 'gateway', 'peer'):.1f} × ({middle(runs, 'peer'):,.0f}/s)",
            ),
        ),
        runs,
    )
