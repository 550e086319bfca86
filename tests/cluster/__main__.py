"""Kill the leader of a PostgreSQL cluster repeatedly while two gateways accept updates. Count losses and repetitions.

A subscriber reads the feed through both meanwhile. Exits with 1 where an acknowledged update is lost or stored twice,
or where the feed skips or repeats one, or has the changes of a profile in another order.
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

from tests.cluster.feed import FeedReader, compare
from tests.cluster.load import TOKEN, Load, stored
from tests.cluster.nodes import HOST, Cluster, cluster, free_port, wait_until

STEP_TIMEOUT_SECONDS = 120
LOAD_SECONDS = 5
"""Time under load before a kill, and after the last one."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how many leaders are killed")
    parser.add_argument("--clients", type=int, default=8, help="clients of each gateway")
    arguments = parser.parse_args()
    with cluster() as nodes, ExitStack() as gateways:
        urls = [gateways.enter_context(gateway(nodes)) for _ in range(2)]
        return asyncio.run(fail_over(nodes, Load(urls, arguments.clients), arguments.rounds))


@contextmanager
def gateway(nodes: Cluster) -> Iterator[str]:
    """Run a gateway as an operator does."""
    port = free_port()
    settings = {"STORE": nodes.url, "PORT": str(port), "BOOTSTRAP_TOKEN": TOKEN, "LOG_LEVEL": "error"}
    environment = {**os.environ, **{f"GATEWAY_{name}": value for name, value in settings.items()}}
    server = subprocess.Popen([Path(sys.executable).parent / "profile-gateway", "serve"], env=environment)
    try:
        wait_until(partial(is_ready, f"http://{HOST}:{port}/readyz"), STEP_TIMEOUT_SECONDS, "the gateway is ready")
        yield f"http://{HOST}:{port}"
    finally:
        server.terminate()
        server.wait(60)


def is_ready(url: str) -> bool:
    try:
        urlopen(url, timeout=2).close()
    except (URLError, OSError):
        return False
    return True


async def fail_over(nodes: Cluster, load: Load, rounds: int) -> int:
    reader = FeedReader([*load.tallies])
    running, reading = asyncio.create_task(load.run()), asyncio.create_task(reader.run())
    for number in range(1, rounds + 1):
        await asyncio.sleep(LOAD_SECONDS)
        await kill_the_leader(nodes, load, number)
    await asyncio.sleep(LOAD_SECONDS)
    load.stop()
    await asyncio.wait_for(running, STEP_TIMEOUT_SECONDS)
    reader.stop()
    await asyncio.wait_for(reading, STEP_TIMEOUT_SECONDS)
    is_stored, is_read = await report(load), report_feed(load, reader)
    return 0 if is_stored and is_read else 1


async def kill_the_leader(nodes: Cluster, load: Load, number: int) -> None:
    """Run one round. It ends when the cluster is complete again."""
    leader = await asyncio.to_thread(nodes.leader)
    assert leader
    begun = time.monotonic()
    leader.kill()
    try:
        await asyncio.to_thread(
            wait_until, lambda: nodes.leader() not in (leader, None), STEP_TIMEOUT_SECONDS, "another leads"
        )
        elected = time.monotonic() - begun
        await asyncio.to_thread(
            wait_until, lambda: is_written(load, begun + elected), STEP_TIMEOUT_SECONDS, "all accept writes"
        )
    finally:
        leader.start()
    pauses = ", ".join(f"{tally.longest_pause(begun):.1f}" for tally in load.tallies.values())
    print(
        f"round {number}: {leader.name} killed; another leads after {elected:.1f} s; no writes: {pauses} s", flush=True
    )
    await asyncio.to_thread(wait_until, nodes.is_complete, STEP_TIMEOUT_SECONDS, "the cluster is complete again")


def is_written(load: Load, since: float) -> bool:
    return all(tally.times and tally.times[-1] > since for tally in load.tallies.values())


async def report(load: Load) -> bool:
    """Compare the acknowledged updates with the profiles that each gateway returns. Print the figures."""
    tallies = load.tallies.values()
    acknowledged = sum(len(tally.times) for tally in tallies)
    lost = twice = 0
    for url in load.tallies:
        for profile, (visits, marks) in (await stored(url)).items():
            expected = set().union(*(tally.marks[profile] for tally in tallies))
            lost += len(expected - set(marks))
            twice += visits - len(set(marks)) + sum((Counter(marks) - Counter(set(marks))).values())
    refused = sum(tally.refused for tally in tallies)
    print(f"acknowledged {acknowledged}, lost {lost}, twice {twice}; refused and sent again {refused}")
    return bool(acknowledged) and not (lost or twice)


def report_feed(load: Load, reader: FeedReader) -> bool:
    """Compare the acknowledged updates with the events of the feed. Print the figures."""
    acknowledged = {mark for tally in load.tallies.values() for marks in tally.marks.values() for mark in marks}
    found = compare(reader.events, acknowledged)
    print(
        f"feed: {len(reader.events)} events, skipped {found.skipped}, repeated {found.repeated},"
        f" profiles out of order {found.out_of_order}; pages asked for again {reader.refused}"
    )
    return found.is_equal


if __name__ == "__main__":
    sys.exit(main())
