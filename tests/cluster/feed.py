"""A subscriber that reads the feed through the gateways in turn while the cluster fails over, and what it missed."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx

from tests.cluster.load import RETRY_SECONDS, TOKEN

PAGE = {"limit": 500, "values": "true"}
WAIT_SECONDS = 1
"""Time that a request for new events waits."""


@dataclass
class FeedReader:
    """Reads from the first event on. Each page is of the next gateway, after the cursor of the one before."""

    urls: Sequence[str]
    events: list[Mapping[str, Any]] = field(default_factory=list)
    refused: int = 0
    """Requests without a page: they were sent again."""
    _cursor: str = ""
    _open: bool = True

    async def run(self) -> None:
        """Read until `stop`, and then to the end of the feed."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(timeout=70, headers=headers) as http:
            for url in cycle(self.urls):
                was_open = self._open
                count = await self._read_page(http, url)
                if not was_open and count == 0:
                    return

    def stop(self) -> None:
        self._open = False

    async def _read_page(self, http: httpx.AsyncClient, url: str) -> int | None:
        """Return how many events were new; None without a page. Raises `AssertionError` where the cursor is refused."""
        parameters = {**PAGE, "after": self._cursor, "wait": WAIT_SECONDS}
        try:
            reply = await http.get(f"{url}/gateway/v1/databases/1/changes", params=parameters)
        except httpx.HTTPError:
            reply = httpx.Response(503)
        if reply.status_code == 503:
            self.refused += 1
            await asyncio.sleep(RETRY_SECONDS)
            return None
        if reply.status_code != 200:
            raise AssertionError(f"{reply.status_code}: {reply.text}")
        page = reply.json()
        self.events += page["events"]
        self._cursor = page["cursor"]
        return len(page["events"])


@dataclass(frozen=True)
class FeedComparison:
    """How many acknowledged marks no event has, and how many events repeat one or are out of order in a profile."""

    skipped: int
    repeated: int
    out_of_order: int

    @property
    def is_equal(self) -> bool:
        return not (self.skipped or self.repeated or self.out_of_order)


def compare(events: Sequence[Mapping[str, Any]], acknowledged: Set[str]) -> FeedComparison:
    """Compare the events with the acknowledged marks. Those of a profile must have the versions 1, 2, 3 …"""
    marks = [mark for event in events for mark in _added_marks(event)]
    versions = defaultdict[str, list[int]](list)
    for event in events:
        versions[event["subject"]].append(event["data"]["version"])
    return FeedComparison(
        len(acknowledged - set(marks)),
        len(marks) - len(set(marks)),
        sum(found != list(range(1, len(found) + 1)) for found in versions.values()),
    )


def _added_marks(event: Mapping[str, Any]) -> Iterable[str]:
    """Return the marks that a change added: they are in the whole document of a creation, or in the member."""
    return [
        mark
        for change in event["data"]["values"]
        for mark in _marks(change, "after")
        if mark not in _marks(change, "before")
    ]


def _marks(change: Mapping[str, Any], name: str) -> Sequence[str]:
    """Return the marks before or after the change of a member."""
    value = change.get(name)
    found: Sequence[str] = []
    if change["path"] == "/custom/marks":
        found = value or []
    elif not change["path"]:
        found = (value or {}).get("custom", {}).get("marks", [])
    return found
