"""Preferences by GraphQL: the same as by other calls, within bounds, by a library that is imported when it is used."""

import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.faults import Refusal
from gateway.core.rights import READ, WRITE
from gateway.dialects.courier import preferences
from gateway.dialects.courier.client_query import parse_mutation, parse_query
from gateway.dialects.courier.graphql_document import MAX_DEPTH, MAX_FIELDS, MAX_TOKENS
from gateway.dialects.courier.preferences import parse_choice, parse_choices
from gateway.dialects.protocol import Request
from tests.hostile.server import LONGEST
from tests.in_process import gateway_in_memory
from tests.test_user_tokens import bound

pytestmark = pytest.mark.anyio

TOKEN = "of-the-operator"
HEADERS = {"authorization": f"Bearer {TOKEN}", "x-courier-user-id": "ann"}
ALL = "{ recipientPreferences { nodes { templateId status hasCustomRouting routingPreferences digestSchedule } } }"


def mutation(topic: str, preferences: str, more: str = "") -> str:
    return f"mutation {{ {field(topic, preferences, more)} }}"


def field(topic: str, preferences: str, more: str = "") -> str:
    return f'updatePreferenceV2(templateId: "{topic}", preferences: {{{preferences}}}{more}) {{ status }}'


async def ask(client: httpx.AsyncClient, query: Any, **members: Any) -> Any:
    """Return the answer to a document, whose status is 200 whatever is in it."""
    reply = await client.post("/client/q", headers=HEADERS, json={"query": query, **members})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def stored(client: httpx.AsyncClient) -> Any:
    reply = await client.get("/gateway/v1/databases/1/changes", headers=HEADERS)
    return reply.json()["events"]


# --- it is the same as the other calls ---

channels = st.lists(st.sampled_from(preferences.CHANNELS), max_size=3)


@given(
    st.sampled_from(preferences.STATUSES),
    st.booleans(),
    channels,
    st.sampled_from(["", "acme"]),
    st.sampled_from(["news", " n "]),
)
def test_a_mutation_is_the_command_of_the_calls_of_topics(
    status: str, has_routing: bool, routing: list[str], tenant: str, topic: str
) -> None:
    row = {"status": status, "has_custom_routing": has_routing, "custom_routing": routing}
    query = {"tenant_id": tenant} if tenant else {}
    by_path = parse_choice(Request({"topic": row}, query, path={"user_id": "ann", "topic_id": topic}))
    rows = {"topics": [{"topic_id": topic, **row}]}
    by_row = parse_choices(Request(rows, query, path={"user_id": "ann"}))
    text = f"status: {status}, hasCustomRouting: {str(has_routing).lower()}, routingPreferences: [{' '.join(routing)}]"
    document = mutation(topic, text, f', accountId: "{tenant}"' if tenant else "")
    by_query = parse_mutation(Request({"query": document}, headers={"x-courier-user-id": "ann"}))
    assert by_query.commands == by_path.commands == by_row.commands


async def test_both_ways_read_what_either_set() -> None:
    async with gateway_in_memory(TOKEN) as (client, _):
        await client.put("/users/ann/preferences/sales", headers=HEADERS, json={"topic": {"status": "OPTED_OUT"}})
        await ask(client, mutation("news", "status: OPTED_OUT, hasCustomRouting: true, routingPreferences: [sms]"))
        nodes = (await ask(client, ALL))["data"]["recipientPreferences"]["nodes"]
        items = (await client.get("/users/ann/preferences", headers=HEADERS)).json()["items"]
    assert [[*node.values()][:4] for node in nodes] == [
        ["sales", "OPTED_OUT", False, []],
        ["news", "OPTED_OUT", True, ["sms"]],
    ]
    assert [item["topic_id"] for item in items] == ["sales", "news"]


async def test_the_journal_has_one_entry_of_the_same_kind() -> None:
    async with gateway_in_memory(TOKEN) as (client, _):
        await client.put("/users/ann/preferences/news", headers=HEADERS, json={"topic": {"status": "OPTED_OUT"}})
        await client.put("/users/ann/preferences/sales", headers=HEADERS, json={"topic": {"status": "OPTED_OUT"}})
        await ask(client, mutation("terms", "status: OPTED_OUT"))
        _, by_path, by_query = await stored(client)
    assert (by_path["type"], by_path["data"]["changed"]) == ("profile.updated", ["/courier_users/topics/sales"])
    assert (by_query["type"], by_query["data"]["changed"]) == ("profile.updated", ["/courier_users/topics/terms"])


async def test_a_repeated_mutation_happens_once() -> None:
    async with gateway_in_memory(TOKEN) as (client, _):
        for _ in range(2):
            body = {"query": mutation("news", "status: OPTED_OUT")}
            reply = await client.post("/client/q", headers={**HEADERS, "idempotency-key": "k"}, json=body)
            assert reply.status_code == 200
            await ask(client, mutation("news", "status: OPTED_IN"))
        assert len(await stored(client)) == 2


async def test_reading_needs_the_right_to_read_and_setting_that_to_write() -> None:
    async with gateway_in_memory(TOKEN) as (client, store):
        for right, statuses in ((READ, (200, 403)), (WRITE, (403, 200))):
            await store.add_token(bound(right, "ann", right))
            headers = {**HEADERS, "authorization": f"Bearer {right}"}
            for query, status in zip((ALL, mutation("news", "status: OPTED_OUT")), statuses, strict=True):
                reply = await client.post("/client/q", headers=headers, json={"query": query})
                assert reply.status_code == status, (right, query)


@pytest.mark.parametrize(
    ("header", "status"), [(b"ann", 200), ("анна".encode(), 200), (b"ann\xe9", 400), (b"", 400), (None, 400)]
)
async def test_the_header_names_the_user_in_utf_8(header: bytes | None, status: int) -> None:
    async with gateway_in_memory(TOKEN) as (client, _):
        headers = {b"authorization": f"Bearer {TOKEN}".encode()}
        headers |= {} if header is None else {b"x-courier-user-id": header}
        body = {"query": mutation("news", "status: OPTED_OUT")}
        reply = await client.post("/client/q", headers=headers, json=body)
        assert reply.status_code == status, reply.text
        if header and status == 200:
            found = await client.get(f"/users/{header.decode()}/preferences/news", headers=HEADERS)
            assert found.json()["topic"]["status"] == "OPTED_OUT"


# --- hostile documents ---

HOSTILE = {
    "nested selections": "{ brand" + " { a" * 5_000,
    "open brackets": "{" * 60_000,
    "nested lists": "{ brand(brandId: " + "[" * 10_000,
    "nested objects": "{ brand(brandId: " + "{a: " * 10_000,
    "nested types of variables": "query ($a: " + "[" * 20_000,
    "aliases": "{ " + " ".join(f"a{n}: brand" for n in range(5_000)) + " }",
    "aliases within the tokens": "{ " + " ".join(f"a{n}: brand" for n in range(MAX_FIELDS + 1)) + " }",
    "members within the tokens": "{ recipientPreferences { nodes { " + "status " * 500 + "} } }",
    "a cycle of fragments": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "fragments that double": "{ ...A } "
    + " ".join(f"fragment A{n} on Q {{ ...A{n + 1} ...A{n + 1} }}" for n in range(50)),
    "an inline fragment": "{ ... { brand { links } } }",
    "introspection": "{ __schema { types { fields { type { fields { name } } } } } }",
    "a number of many digits": "{ other(a: " + "9" * 50_000 + ") }",
    "a text of many escapes": '{ other(a: "' + "\\u00e9" * 9_000 + '") }',
    "a block of many lines": '{ other(a: """' + "\n " * 18_000 + '""") }',
    "comments": "#" * 60_000,
    "commas": "," * 60_000,
    "half of a surrogate": '{ recipientPreference(templateId: "\\uD800") { status } }',
    "a zero to keep": mutation("news", 'status: OPTED_OUT, digestSchedule: "\\u0000"'),
    "a zero in a variable": 'query ($a: ID = "\\u0000") { recipientPreference(templateId: $a) { status } }',
    "a zero": '{ recipientPreference(templateId: "\\u0000") { status } }',
    "schema definitions": "type A { b: C } extend schema @a",
    "a subscription": "subscription { recipientPreferences { nodes { status } } }",
    "a mutation among queries": ALL + mutation("news", "status: OPTED_OUT"),
    "a query among mutations": mutation("news", "status: OPTED_OUT") + ALL,
    "mutations beside mutations": mutation("news", "status: OPTED_OUT") * 2,
    "more topics than a call sets": "mutation { "
    + " ".join(f"a{n}: {field('t', 'status: OPTED_IN')}" for n in range(51))
    + " }",
    "nothing": "",
    "no field": "{ }",
    "no mutation": "mutation { }",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_document_is_an_error_without_a_trace(name: str) -> None:
    async with gateway_in_memory(TOKEN) as (client, _):
        await ask(client, ALL)  # imports the library
        started = time.process_time()
        answer = await ask(client, HOSTILE[name])
        assert time.process_time() - started < LONGEST
        assert [*answer] == ["errors"]
        assert len(answer["errors"][0]["message"]) < 300
        assert await stored(client) == []


async def test_the_bounds_leave_room_for_what_clients_ask() -> None:
    """The longest document of the vendor's library has 34 fields, 6 open brackets and some 90 tokens."""
    nested = "{ preferencePage " + "{ a " * (MAX_DEPTH - 1) + "}" * MAX_DEPTH
    most = "{ " + " ".join(f"a{n}: brand" for n in range(MAX_FIELDS)) + " }"
    long = "{ brand(" + " ".join(f"a{n}: b" for n in range((MAX_TOKENS - 6) // 3)) + ") }"
    async with gateway_in_memory(TOKEN) as (client, _):
        for document in (nested, most, long):
            assert [*await ask(client, document)] == ["data"], document


async def test_huge_variables_and_bodies_are_refused() -> None:
    async with gateway_in_memory(TOKEN) as (client, _):
        deep: Any = "x"
        for _ in range(200):
            deep = [deep]
        bodies = {400: {"query": ALL, "variables": {"a": deep}}, 413: {"query": ALL, "variables": {"a": "x" * 70_000}}}
        for status, body in bodies.items():
            reply = await client.post("/client/q", headers=HEADERS, json=body)
            assert (reply.status_code, reply.json()["type"]) == (status, "invalid_request_error")


async def test_all_that_a_document_may_ask_of_many_topics_is_fast() -> None:
    async with gateway_in_memory(TOKEN) as (client, _):
        for start in range(0, 3000, 50):
            topics = [{"topic_id": f"t{n}", "status": "OPTED_OUT"} for n in range(start, start + 50)]
            reply = await client.post("/users/ann/preferences", headers=HEADERS, json={"topics": topics})
            assert reply.status_code == 200, reply.text
        members = " ".join(f"s{n}: status" for n in range(MAX_FIELDS - 2))
        started = time.process_time()
        answer = await ask(client, f"{{ recipientPreferences {{ nodes {{ {members} }} }} }}")
        assert time.process_time() - started < LONGEST
        assert len(answer["data"]["recipientPreferences"]["nodes"]) == 3000


texts = st.text(max_size=30) | st.lists(
    st.sampled_from([*'{}()[]:$!@#,"\\', "...", "query", "mutation", "a", "recipientPreferences", "nodes", "1", '"""'])
).map(" ".join)


@given(texts, st.sampled_from([parse_query, parse_mutation]))
def test_any_text_is_parsed_or_refused(text: str, parse: Any) -> None:
    with suppress(Refusal):
        assert parse(Request({"query": text}, headers={"x-courier-user-id": "ann"})).commands


# --- the extra ---


def test_the_library_is_imported_when_a_query_needs_it() -> None:
    code = """if True:
        import sys
        import gateway.server.app as app
        app.create(app.Settings())
        print("graphql" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_without_the_extra_the_call_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "graphql", None)
    async with gateway_in_memory(TOKEN) as (client, _):
        for query in (ALL, mutation("news", "status: OPTED_OUT")):
            reply = await client.post("/client/q", headers=HEADERS, json={"query": query})
            assert (reply.status_code, reply.json()) == (
                404,
                {
                    "message": "this call needs the extra graphql of the gateway",
                    "type": "invalid_request_error",
                },
            )
