"""A member of another type in an accepted request: what the gateway accepts, the published contract allows."""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.stores import open_store
from gateway.testkit.embedded import create_application
from tests.cases import HOST, Case, seed_store
from tests.test_contracts import ACCEPTED, request_faults

Place = tuple[str | int, ...]

FAILED_PART = re.compile(r'"error":[45]|"outcome":"refused"|"failed_count":[1-9]|"errors":\[\{')
"""A refusal inside a reply of success: an element of a batch, a dry run or a job fails alone."""

PARTLY_ACCEPTED = re.compile("leaves-out-|with-invalid-subscriptions-left-out|/imports-many|the-same-job-made")
"""Cases whose replies do not show which part failed."""

UNNEEDED = {"email", "profile_id"}
"""Parameters that some modes of `matching` ignore, as the contract says."""


def usual_requests() -> Iterator[tuple[Case, dict[str, Any], Any]]:
    """Yield the accepted requests in JSON that the contract allows, with their operations and trees."""
    for case, operation in ACCEPTED:
        if case.media == "json" and not PARTLY_ACCEPTED.search(case.name):
            try:
                tree = json.loads(case.request.decode())
            except ValueError:  # a form, or another charset
                continue
            if not request_faults(case, operation):
                yield case, operation, tree


def places(tree: Any, above: Place = ()) -> Iterator[Place]:
    """Yield the place of each member and item of a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in pairs:
        yield (*above, name)
        yield from places(value, (*above, name))


def new_places() -> Iterator[tuple[Case, dict[str, Any], Any, list[Place]]]:
    """Yield the requests with those places that no request before has for the same operation."""
    seen = set()
    for case, operation, tree in usual_requests():
        found = []
        for place in places(tree):
            key = operation["operationId"], tuple(0 if isinstance(name, int) else name for name in place)
            if key not in seen:
                seen.add(key)
                found.append(place)
        yield case, operation, tree, found


def with_value(case: Case, tree: Any, place: Place, value: Any) -> Case:
    """Return a case with another value at a place of its request."""
    changed = inner = copy.deepcopy(tree)
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    other = replace(case)
    other.__dict__["request"] = json.dumps(changed).encode()
    return other


async def replies(cases: Iterable[Case]) -> AsyncIterator[tuple[Case, httpx.Response]]:
    """Send requests that differ in the body alone to one gateway, which is a new one after each that it accepts."""
    remaining = list(cases)
    while remaining:
        store = await open_store("memory:", create=True)
        await seed_store(store, remaining[-1])
        app = create_application(remaining[-1], store)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}")
        async with app.router.lifespan_context(app), client:
            reply = None
            while remaining and (reply is None or reply.is_client_error):
                case = remaining.pop()
                method, path = case.about["method"], case.about["path"]
                reply = await client.request(method, path, content=case.request, headers=case.headers)
                yield case, reply


REQUESTS = list(new_places())


async def accepted_beyond_the_contract(value: Any) -> list[tuple[str, bytes, list[str]]]:
    """Return the requests with this value somewhere that the gateway accepts and the contract does not."""
    found = []
    for case, operation, tree, found_places in REQUESTS:
        others = [with_value(case, tree, place, value) for place in found_places if place[-1] not in UNNEEDED]
        async for other, reply in replies(others):
            assert not reply.is_server_error, (case.name, other.request)
            is_accepted = reply.is_success and not FAILED_PART.search(reply.text)
            if is_accepted and (faults := request_faults(other, operation)):
                found.append((case.name, other.request, faults))
    return found


@pytest.mark.parametrize("value", [None, "", 7], ids=json.dumps)
def test_the_contract_allows_what_the_gateway_accepts(value: Any) -> None:
    assert sum(len(places) for *_, places in REQUESTS) > 1000
    assert asyncio.run(accepted_beyond_the_contract(value)) == []
