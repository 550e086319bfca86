"""Clients that write through gateways without a pause, repeat what is not acknowledged, and count."""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count, pairwise

import httpx

TOKEN = "cluster-test-token"
PROFILES = 200
RETRY_SECONDS = 0.1


@dataclass
class Tally:
    """The acknowledged updates: their times, and the marks of each profile."""

    times: list[float] = field(default_factory=list)
    marks: dict[int, set[str]] = field(default_factory=lambda: {number: set() for number in range(PROFILES)})
    refused: int = 0

    def longest_pause(self, since: float) -> float:
        """Return the longest time in seconds without an acknowledgement, since a time."""
        times = [since, *(each for each in self.times if each >= since)]
        return max((after - before for before, after in pairwise(times)), default=float("inf"))


class Load:
    """Some clients for each gateway. Each change is sent with one Idempotency-Key until it is acknowledged."""

    def __init__(self, urls: list[str], clients: int) -> None:
        self.tallies = {url: Tally() for url in urls}
        self._clients = clients
        self._open = True

    async def run(self) -> None:
        """Run until `stop`, and complete the calls in flight."""
        async with httpx.AsyncClient(timeout=70) as http:
            names = range(self._clients)
            await asyncio.gather(*(self._client(http, url, name) for url in self.tallies for name in names))

    def stop(self) -> None:
        self._open = False

    async def _client(self, http: httpx.AsyncClient, url: str, name: int) -> None:
        tally = self.tallies[url]
        for number in count():
            if not self._open:
                return
            profile, mark = (number * 7 + name * 31) % PROFILES, f"{url[-5:]}-{name}-{number}"
            while not await _is_acknowledged(http, url, profile, mark):
                tally.refused += 1
                await asyncio.sleep(RETRY_SECONDS)
            tally.times.append(time.monotonic())
            tally.marks[profile].add(mark)


async def _is_acknowledged(http: httpx.AsyncClient, url: str, profile: int, mark: str) -> bool:
    data = {"visits": {"action": "incr", "value": 1}, "marks": {"action": "add", "value": [mark]}}
    body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": address(profile), "data": data}
    try:
        reply = await http.post(f"{url}/api/v1.1/profiles/import", json=body, headers={"Idempotency-Key": mark})
    except httpx.HTTPError:
        return False
    if reply.status_code not in (200, 503):
        raise AssertionError(f"{reply.status_code}: {reply.text}")
    return reply.status_code == 200


async def stored(url: str) -> dict[int, tuple[int, list[str]]]:
    """Return how often each profile was incremented, and its marks."""
    found = {}
    async with httpx.AsyncClient(timeout=70) as http:
        for profile in range(PROFILES):
            body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": address(profile)}
            reply = await http.post(f"{url}/api/v1.1/profiles/get", json=body)
            data = reply.json().get("data", {})
            found[profile] = data.get("visits", 0), data.get("marks", [])
    return found


def address(profile: int) -> str:
    return f"person{profile}@example.com"
