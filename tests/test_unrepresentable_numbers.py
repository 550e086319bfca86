"""A number that cannot be kept, at each place of each call: no call fails on it, and none stores it."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.testkit.embedded import run_in_process
from tests.cases import Case, cases

NUMBERS = ("100000000000000000000", "-9223372036854775809", "1e400", "1.00000000000000000001")
IDS = re.compile(r"(?<=^/profiles/)[^/]+|[0-9a-f]{24}|\?.*|/$")
CALLS = {
    (case.about["method"], IDS.sub("*", case.about["path"])): case
    for case in cases("altcraft", "courier", "klaviyo")
    if case.media == "json" and case.about["status"] < 300 and case.request
}
"""One accepted conversation for each call."""


def bodies(request: Any, number: str) -> Iterator[bytes]:
    """Yield the request with the number in place of each of its values in turn."""
    for path in places(request):
        mark = "the-number"
        yield json.dumps(replaced(request, path, mark)).replace(f'"{mark}"', number).encode()


def places(tree: Any) -> Iterator[tuple[str | int, ...]]:
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in members:
        yield (name,)
        yield from ((name, *rest) for rest in places(value))


def replaced(tree: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("index", range(len(NUMBERS)), ids=NUMBERS)
@pytest.mark.parametrize("case", [pytest.param(case, id=" ".join(key)) for key, case in CALLS.items()])
def test_a_number_that_cannot_be_kept_is_rejected_or_ignored(case: Case, index: int) -> None:
    for number, body in enumerate(bodies(json.loads(case.request), NUMBERS[index])):
        if number % len(NUMBERS) == index:  # each place with one of the numbers
            sent = Case(case.folder, case.media, case.about)
            sent.__dict__["request"] = body
            response, profiles = asyncio.run(run_in_process(sent))
            assert response.status < 500, body
            assert NUMBERS[index] not in json.dumps(profiles), body
