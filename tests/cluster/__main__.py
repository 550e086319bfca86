"""Kills the leader of a PostgreSQL cluster again and again while two gateways take updates, and counts what came of it.

Exits with 1 where an acknowledged update is lost, or one is kept twice.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.cluster.load import TOKEN, Load, stored
from tests.cluster.nodes import HOST, Cluster, cluster, free_port, wait_until

PATIENCE = 120
"""Seconds that a step may take."""
QUIET = 5
"""Seconds of load before a kill, and after the last one."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how many leaders are killed")
    parser.add_argument("--clients", type=int, default=8, help="clients of each gateway")
    asked = parser.parse_args()
    with cluster() as nodes, ExitStack() as gateways:
        urls = [gateways.enter_context(gateway(nodes)) for _ in range(2)]
        return asyncio.run(fail_over(nodes, Load(urls, asked.clients), asked.rounds))


@contextmanager
def gateway(nodes: Cluster) -> Iterator[str]:
    """A gateway as an operator starts it."""
    port = free_port()
    settings = {"STORE": nodes.url, "PORT": str(port), "BOOTSTRAP_TOKEN": TOKEN, "LOG_LEVEL": "error"}
    environment = {**os.environ, **{f"GATEWAY_{name}": value for name, value in settings.items()}}
    server = subprocess.Popen([Path(sys.executable).parent / "profile-gateway", "serve"], env=environment)
    try:
        wait_until(partial(answers, f"http://{HOST}:{port}/readyz"), PATIENCE, "the gateway is ready")
        yield f"http://{HOST}:{port}"
    finally:
        server.terminate()
        server.wait(60)


def answers(url: str) -> bool:
    try:
        urlopen(url, timeout=2).close()
    except (URLError, OSError):
        return False
    return True


async def fail_over(nodes: Cluster, load: Load, rounds: int) -> int:
    running = asyncio.create_task(load.run())
    for number in range(1, rounds + 1):
        await asyncio.sleep(QUIET)
        await kill_the_leader(nodes, load, number)
    await asyncio.sleep(QUIET)
    load.stop()
    await asyncio.wait_for(running, PATIENCE)
    return await told(load)


async def kill_the_leader(nodes: Cluster, load: Load, number: int) -> None:
    """One round: it ends when the cluster is whole again."""
    leader = await asyncio.to_thread(nodes.leader)
    assert leader
    begun = time.monotonic()
    leader.kill()
    try:
        await asyncio.to_thread(wait_until, lambda: nodes.leader() not in (leader, None), PATIENCE, "another leads")
        elected = time.monotonic() - begun
        await asyncio.to_thread(wait_until, lambda: is_written(load, begun + elected), PATIENCE, "all take writes")
    finally:
        leader.start()
    pauses = ", ".join(f"{tally.longest_pause(begun):.1f}" for tally in load.tallies.values())
    print(
        f"round {number}: {leader.name} killed; another leads after {elected:.1f} s; no writes: {pauses} s", flush=True
    )
    await asyncio.to_thread(wait_until, nodes.is_whole, PATIENCE, "the cluster is whole again")


def is_written(load: Load, since: float) -> bool:
    return all(tally.times and tally.times[-1] > since for tally in load.tallies.values())


async def told(load: Load) -> int:
    """Says what was acknowledged and what became of it, as either gateway tells it."""
    tallies = load.tallies.values()
    acknowledged = sum(len(tally.times) for tally in tallies)
    lost = twice = 0
    for url in load.tallies:
        for profile, (visits, marks) in (await stored(url)).items():
            meant = set().union(*(tally.marks[profile] for tally in tallies))
            lost += len(meant - set(marks))
            twice += visits - len(set(marks)) + sum((Counter(marks) - Counter(set(marks))).values())
    refused = sum(tally.refused for tally in tallies)
    print(f"acknowledged {acknowledged}, lost {lost}, twice {twice}; refused and sent again {refused}")
    return 1 if lost or twice or not acknowledged else 0


if __name__ == "__main__":
    sys.exit(main())
