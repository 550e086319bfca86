"""What the gateway holds in memory: at rest, and after many requests."""

from bench import bodies, servers
from bench.load import measure, send
from bench.report import Finding, Row
from bench.scale import Scale

MOST = 110
GROWTH = 0.05


def memory(scale: Scale) -> Finding:
    """Resident set size of the one process, before and after updates in both media types."""
    numbers = range(scale.profiles)
    with servers.gateway_on_sqlite() as gateway:
        at_rest = gateway.memory()
        sent = send(gateway, bodies.imports("json", numbers)).requests
        for media in ("json", "xml"):
            sent += send(gateway, bodies.updates(media, numbers)).requests
        warm, first = gateway.memory(), sent
        while sent < scale.requests:
            for media in ("json", "xml"):
                sent += measure(gateway, bodies.updates(media, numbers), scale.seconds * 2).requests
        after = gateway.memory()
    return Finding(
        (
            Row("memory at rest", f"≤ {MOST} MiB", f"{at_rest:.0f} MiB"),
            Row(f"memory after {sent:,} requests", f"≤ {MOST} MiB", f"{after:.0f} MiB"),
            Row(f"its growth since {first:,} requests", f"≤ {GROWTH:.0%}", f"{after / warm - 1:+.1%}"),
        )
    )
