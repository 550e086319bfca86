"""A member of another type in an accepted request: what the published contract refuses, the gateway refuses."""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from functools import reduce
from operator import getitem
from typing import Any

import httpx
import pytest

from gateway.stores import open_store
from gateway.testkit.embedded import create_application
from tests.cases import HOST, Case, seed_store
from tests.test_contracts import ACCEPTED, DOCUMENT, request_faults

Place = tuple[str | int, ...]

FAILED_PART = re.compile(r'"error":\s*[45]|"outcome":\s*"refused"|"failed_count":\s*[1-9]|"errors":\s*\[\s*\{')
"""A refusal inside a reply of success: an element of a batch, a dry run or a job fails alone."""

PARTLY_ACCEPTED = re.compile("leaves-out-|with-invalid-subscriptions-left-out|/imports-many|the-same-job-made")
"""Cases whose replies do not show which part failed."""

MATCH_VALUES = {"email", "phone", "profile_id", "field_name", "field_value", "provider", "subscription_id"}
"""Parameters that some modes of `matching` ignore, as the contract says."""

NAMED_PROFILES = {"source", "destination", "profile_a", "profile_b"}
"""Parameters that have them as members."""


# --- the requests ---


def usual_requests() -> Iterator[tuple[Case, dict[str, Any], Any]]:
    """Yield the requests in JSON that are accepted in full and that the contract allows, with operations and trees."""
    for case, operation in ACCEPTED:
        if case.media != "json" or PARTLY_ACCEPTED.search(case.name) or FAILED_PART.search(case.response.decode()):
            continue
        try:
            tree = json.loads(case.request.decode())
        except ValueError:  # a form, or another charset
            continue
        if not request_faults(case, operation):
            yield case, operation, tree


def present(tree: Any, above: Place = ()) -> Iterator[Place]:
    """Yield the place of each member and item of a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in pairs:
        yield (*above, name)
        yield from present(value, (*above, name))


def absent(tree: Any, schemas: Iterable[Any], above: Place = ()) -> Iterator[Place]:
    """Yield the place of each member that the schemas describe and a tree does not have."""
    parts = [part for schema in schemas for part in parts_of(schema)]
    if isinstance(tree, list):
        items = [part["items"] for part in parts if "items" in part]
        for index, value in enumerate(tree):
            yield from absent(value, items, (*above, index))
    elif isinstance(tree, dict):
        properties = [part["properties"] for part in parts if "properties" in part]
        for name in dict.fromkeys(name for members in properties for name in members):
            if name in tree:
                members = [members[name] for members in properties if name in members]
                yield from absent(tree[name], members, (*above, name))
            else:
                yield (*above, name)


def parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema, and those that it refers to or consists of."""
    if isinstance(schema, bool):
        return
    yield schema
    if "$ref" in schema:
        yield from parts_of(reduce(getitem, schema["$ref"].split("/")[1:], DOCUMENT))
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        yield from parts_of(part)


def new_places() -> Iterator[tuple[Case, dict[str, Any], Any, list[Place]]]:
    """Yield the requests with those places that no request before has for the same operation."""
    requests = list(usual_requests())
    found = [(*request, present(request[2])) for request in requests]
    found += [(*request, absent(request[2], body_schemas(request[1]))) for request in requests]
    seen = set()
    for case, operation, tree, found_places in found:
        new = []
        for place in found_places:
            key = operation["operationId"], tuple(0 if isinstance(name, int) else name for name in place)
            if key not in seen and not may_be_ignored(place):
                seen.add(key)
                new.append(place)
        yield case, operation, tree, new


def may_be_ignored(place: Place) -> bool:
    *above, name = place
    return name in MATCH_VALUES and all(isinstance(each, int) or each in NAMED_PROFILES for each in above)


def body_schemas(operation: dict[str, Any]) -> list[Any]:
    return [value["schema"] for name, value in operation["requestBody"]["content"].items() if name.endswith("json")]


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


# --- the law ---

REQUESTS = list(new_places())


async def accepted_beyond_the_contract(value: Any) -> list[tuple[str, bytes]]:
    """Return the requests with this value somewhere that the gateway accepts and the contract does not."""
    found = []
    for case, operation, tree, found_places in REQUESTS:
        others = (with_value(case, tree, place, value) for place in found_places)
        async for other, reply in replies(other for other in others if request_faults(other, operation)):
            assert not reply.is_server_error, (case.name, other.request)
            if reply.is_success and not FAILED_PART.search(reply.text):
                found.append((case.name, other.request))
    return found


@pytest.mark.parametrize("value", [None, "", 7], ids=json.dumps)
def test_the_gateway_refuses_what_the_contract_refuses(value: Any) -> None:
    assert sum(len(places) for *_, places in REQUESTS) > 1000
    assert asyncio.run(accepted_beyond_the_contract(value)) == []
