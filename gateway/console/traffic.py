"""The page of the traffic: what this process answered lately."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from gateway.console.pages import HtmlPage, PageResult, Visit
from gateway.console.recorder import KEPT_RESPONSES, RecordedResponse

MAX_REFUSALS = 50
CHART_BARS = 60
BAR_SECONDS = 10
CHART_HEIGHT = 60


class Bar(Struct, frozen=True):
    """The requests of one interval: its place in the chart, and the heights of all and of the refused ones."""

    x: int
    total: int
    refused: int
    height: float
    refused_height: float


async def show_traffic(visit: Visit) -> PageResult:
    """Return counts, latencies, a chart, and the last refusals."""
    responses = visit.context.recorder.responses(visit.database.id)
    refusals = [each for each in reversed(responses) if each.fault][:MAX_REFUSALS]
    values = {
        "total": len(responses),
        "kept": KEPT_RESPONSES,
        "dialects": latencies(responses, lambda each: each.dialect),
        "media_types": latencies(responses, lambda each: each.media_type.partition(";")[0] or "no body"),
        "statuses": latencies(responses, lambda each: str(each.status)),
        "bars": bars(responses, time.time()),
        "chart_height": CHART_HEIGHT,
        "minutes": CHART_BARS * BAR_SECONDS // 60,
        "keeps_refused": visit.context.keeps_refused,
        "refusals": [_refusal(visit, each) for each in refusals],
    }
    return HtmlPage("traffic", values)


def latencies(responses: Sequence[RecordedResponse], group: Callable[[RecordedResponse], str]) -> list[dict[str, Any]]:
    """Return, for each group, the number of its responses and the percentiles of their time in milliseconds."""
    seconds: dict[str, list[float]] = {}
    for each in responses:
        seconds.setdefault(group(each), []).append(each.seconds)
    return [
        {"name": name, "count": len(times), "p50": percentile(times, 50), "p99": percentile(times, 99)}
        for name, times in sorted(seconds.items())
    ]


def percentile(seconds: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile of times, in milliseconds."""
    rank = -(-len(seconds) * percent // 100)
    return round(sorted(seconds)[rank - 1] * 1000, 2)


def bars(responses: Sequence[RecordedResponse], now: float) -> list[Bar]:
    """Return the bars of the chart: the requests of the last intervals, oldest first."""
    ages = [(CHART_BARS - 1 - int((now - each.time) // BAR_SECONDS), bool(each.fault)) for each in responses]
    total, refused = Counter(bar for bar, _ in ages), Counter(bar for bar, is_refused in ages if is_refused)
    highest = max([1, *(count for bar, count in total.items() if bar >= 0)])
    scale = CHART_HEIGHT / highest
    return [
        Bar(index, total[index], refused[index], round(total[index] * scale, 1), round(refused[index] * scale, 1))
        for index in range(CHART_BARS)
    ]


def _refusal(visit: Visit, response: RecordedResponse) -> dict[str, Any]:
    token = visit.context.catalog.token_by_id(response.token)
    return {
        "time": int(response.time * 1000),
        "call": f"{response.method} {response.route}",
        "dialect": response.dialect,
        "status": response.status,
        "fault": response.fault,
        "pointer": response.pointer,
        "request": response.request,
        "token": (token.name if token else "") or response.token,
    }
