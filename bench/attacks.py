"""`python -m bench.attacks`: sends every attack of the tests to the gateway, and writes `bench/attacks.md`.

The gateway is one of its own, as an operator starts it. Each attack is sent some times, one after the other. The table
has the processor time of an answer, the most that the peak of its memory rose by during one of them, and what was kept
after the last: SQLite's pages, which the profile fills, and what the allocator has not given back. At the end follow
the peak of the whole, and whether the gateway still answers. It exits with 1 where a bound is passed.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.servers import Server, gateway, get_status, sqlite
from tests.hostile.attacks import ATTACKS, Attack
from tests.hostile.server import Request

TIMES, BODIES = 5, 300
"""How often each attack is sent, and how many bodies of new names follow at the end."""

MOST_MS, MOST_MIB, MOST_MIB_OF_ALL = 250.0, 64.0, 200.0
RESULTS = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor time of one answer, MiB by which the peak of memory rose in one, MiB kept after all."""

    attack: Attack
    status: int
    milliseconds: float
    mebibytes: float
    kept: float
    largest: float
    """The peak itself, in MiB."""


def main() -> None:
    with sqlite() as store, gateway(store, WORKERS="1") as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        costs = [cost(server, connection, attack) for attack in ATTACKS]
        before = server.memory()
        for number in range(BODIES):
            answered(connection, attack_named("new-names").request(number))
        growth = server.memory() - before
        largest = max([peak(server), *(one.largest for one in costs)])
        is_well = get_status(server.port, "/readyz") == 200
    text = "\n".join(report(costs, growth, largest, is_well))
    RESULTS.write_text(text + "\n")
    print(text)
    is_bounded = all(one.milliseconds <= MOST_MS and one.mebibytes <= MOST_MIB for one in costs)
    sys.exit(not (is_bounded and largest <= MOST_MIB_OF_ALL and is_well))


def cost(server: Server, connection: HTTPConnection, attack: Attack) -> Cost:
    before, used = server.memory(), server.cpu()
    statuses, rises, peaks = zip(
        *(one_answer(server, connection, attack, number) for number in range(TIMES)), strict=True
    )
    milliseconds, kept = (server.cpu() - used) / TIMES * 1000, server.memory() - before
    return Cost(attack, max(statuses), milliseconds, max(rises), kept, max(peaks))


def one_answer(server: Server, connection: HTTPConnection, attack: Attack, number: int) -> tuple[int, float, float]:
    """The status, what the peak of memory rose by, and the peak itself (MiB)."""
    request, before = attack.request(number), forget_peak(server)
    status = answered(connection, request)
    return status, max(peak(server) - before, 0.0), peak(server)


def answered(connection: HTTPConnection, request: Request) -> int:
    connection.request(request.method, request.path, request.body, dict(request.headers))
    response = connection.getresponse()
    response.read()
    return response.status


def attack_named(name: str) -> Attack:
    return next(attack for attack in ATTACKS if attack.name == name)


# --- what Linux knows of a process's memory ---


def forget_peak(server: Server) -> float:
    """Lets the peak begin anew; the memory that is held now, in MiB."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    return server.memory()


def peak(server: Server) -> float:
    """The most memory that was held since then, in MiB."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def report(costs: list[Cost], growth: float, largest: float, is_well: bool) -> Iterator[str]:
    yield f"| attack | status | CPU ms | MiB | kept after {TIMES} |"
    yield "| --- | --- | --- | --- | --- |"
    for one in costs:
        figures = (f"{figure:.1f}" for figure in (one.milliseconds, one.mebibytes, one.kept))
        yield f"| {one.attack.name} | {one.status} | {' | '.join(figures)} |"
    yield ""
    yield f"After {BODIES} bodies of 9,000 new names each, the gateway holds {growth:.0f} MiB more than before."
    yield f"The peak of its memory is {largest:.0f} MiB. It {'answers' if is_well else 'does not answer'} afterwards."


if __name__ == "__main__":
    main()
