"""The memory of the gateway: at rest, and after many requests."""

from bench import bodies, servers
from bench.load import measure, send
from bench.report import Finding, Row
from bench.scale import Scale

MAX_MIB = 110
MAX_GROWTH = 0.05


def memory(scale: Scale) -> Finding:
    """Resident set size of the one process, before and after updates in both media types."""
    numbers = range(scale.profiles)
    with servers.gateway_on_sqlite() as gateway:
        at_rest = gateway.memory()
        sent = 0
        for media in ("json", "xml"):
            sent += send(gateway, bodies.imports(media, numbers)).requests
            sent += send(gateway, bodies.updates(media, numbers)).requests
        warm, first = gateway.memory(), sent
        while sent < scale.requests:
            for media in ("json", "xml"):
                sent += measure(gateway, bodies.updates(media, numbers), scale.seconds * 2).requests
        after = gateway.memory()
    return Finding(
        (
            Row.at_most("memory at rest", MAX_MIB, at_rest, "{:.0f} MiB"),
            Row.at_most(f"memory after {sent:,} requests", MAX_MIB, after, "{:.0f} MiB"),
            Row.at_most(f"its growth since {first:,} requests", MAX_GROWTH, after / warm - 1, "{:.1%}"),
        )
    )
