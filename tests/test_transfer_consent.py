"""A load over a store that knows more, or other things: no opt-out of the store or of the dump is lost."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent import EVERY_RESOURCE, FACT_STATUSES, PERMANENT, effective_document
from gateway.core.model import AddressLedger, Database, Document, Fact, Ledger, Profile
from gateway.core.restoring import united_ledger
from gateway.schema.compiled import CompiledSchema
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.transfer import ExistingProfiles, Loader
from gateway.transfer.lines import DumpLine, EndLine, encode_line, line_of
from tests.stores.urls import ENGINES, empty_store_url

ONE = Database(1, "one", closed=False)
TABLES = CompiledSchema(ONE, {}).tables
EMAIL = {"channel": "email", "email": "ann@example.com"}
ADDRESS = "email:ann@example.com"
SUBSCRIBED, UNSUBSCRIBED = ({**EMAIL, "status": status} for status in ("subscribed", "unsubscribed"))

FACTS = st.dictionaries(st.sampled_from(FACT_STATUSES), st.tuples(st.integers(1, 5), st.booleans()), max_size=3)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Ledgers whose facts have distinct numbers."""
    facts = draw(st.dictionaries(st.sampled_from(["", "7", EVERY_RESOURCE]), FACTS, max_size=3))
    number, numbered = 0, dict[str, dict[str, Fact]]()
    for resource, each in facts.items():
        numbered[resource] = {}
        for reason, (time, is_lifted) in each.items():
            number += draw(st.integers(1, 3))
            numbered[resource][reason] = Fact(time, number, is_lifted)
    return Ledger(number, numbered)


def in_force(ledger: Ledger, lifts: int) -> set[tuple[str, str]]:
    """Return the resource and reason of each fact that applies to a subscription that lifts a number."""
    return {
        (resource, reason)
        for resource, facts in ledger.facts.items()
        for reason, fact in facts.items()
        if reason in PERMANENT or fact.number > lifts
    }


@given(ledgers(), ledgers(), st.data())
def test_what_applies_to_a_profile_of_either_side_applies_afterwards(
    stored: Ledger, loaded: Ledger, data: st.DataObject
) -> None:
    united = united_ledger(stored, loaded)
    for side in (stored, loaded):
        lifts = data.draw(st.integers(0, side.number))
        assert in_force(side, lifts) <= in_force(united, lifts)
    assert united_ledger(united, loaded) == united
    assert united_ledger(stored, stored) == stored


# Loads


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return empty_store_url(request.param, tmp_path)


def profile(updated: int, **members: Any) -> Profile:
    return Profile("a", {"email": "ann@example.com", **members}, updated, 1, updated)


def opt_out(number: int, time: int, lifted: bool = False) -> AddressLedger:
    return AddressLedger(ADDRESS, Ledger(number, {"": {"unsubscribed": Fact(time, number, lifted)}}))


async def load(store: Store, *rows: AddressLedger | Profile) -> int:
    """Load a dump with these rows in place of what is stored. Return how many of its rows altered the store."""
    lines = [DumpLine(), *(line_of(1, row) for row in (ONE, *rows))]
    dump = b"".join(map(encode_line, [*lines, EndLine(len(lines))]))
    loader = Loader(store, ExistingProfiles.REPLACE)
    await loader.load(BytesIO(dump), lambda _: None)
    return loader.new


async def stored(store: Store) -> Document:
    [found] = await store.find(1, [("id", "a")])
    return found.document


async def status(store: Store) -> Any:
    """Return the status of the subscription as it applies."""
    effective = effective_document(await stored(store), TABLES, await store.ledgers(1, [ADDRESS]))
    return effective["subscriptions"][0]["status"]


def run_with_store(url: str, work: Callable[[Store], Any]) -> None:
    async def open_and_run() -> None:
        store = await open_store(url, create=True)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(open_and_run())


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"altcraft": {"_status": "subscribed"}}, {"altcraft": {"_status": 1}}),
        ({}, {"altcraft": {"_status": "unsubscribed"}}),
        (
            {"courier_users": {"topics": {"t": {"status": "OPTED_IN"}}}},
            {"courier_users": {"topics": {"t": {"status": "OPTED_OUT"}}}},
        ),
        ({"subscriptions": [SUBSCRIBED]}, {"subscriptions": [{**EMAIL, "status": "suspended"}]}),
    ],
)
def test_a_later_opt_out_stays_where_an_older_profile_replaces_it(
    url: str, earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    async def work(store: Store) -> None:
        await load(store, profile(20, **later))
        older = profile(10, given_name="Ann", **earlier)
        assert [await load(store, older), await load(store, older)] == [1, 0]
        assert await stored(store) == {"email": "ann@example.com", "given_name": "Ann", **later}

    run_with_store(url, work)


def test_a_later_profile_of_a_dump_replaces_all(url: str) -> None:
    async def work(store: Store) -> None:
        await load(store, profile(10, altcraft={"_status": 1}))
        await load(store, profile(20, altcraft={"_status": 0}))
        assert (await stored(store))["altcraft"] == {"_status": 0}

    run_with_store(url, work)


def test_an_older_profile_without_an_opt_out_replaces_all(url: str) -> None:
    async def work(store: Store) -> None:
        await load(store, profile(20, given_name="Anna"))
        assert await load(store, profile(10, given_name="Ann")) == 1
        [found] = await store.find(1, [("id", "a")])
        assert found == profile(10, given_name="Ann")

    run_with_store(url, work)


def test_an_opt_out_of_the_dump_applies_in_a_store_that_has_another_one(url: str) -> None:
    async def work(store: Store) -> None:
        lifting = {**SUBSCRIBED, "lifts": 1}
        await load(store, opt_out(1, 5, lifted=True), profile(10, subscriptions=[lifting]))
        assert await status(store) == "subscribed"
        assert await load(store, opt_out(2, 15)) == 1
        assert await status(store) == "unsubscribed"

    run_with_store(url, work)


def test_a_subscription_of_a_dump_lifts_no_opt_out_of_the_store(url: str) -> None:
    async def work(store: Store) -> None:
        await load(store, opt_out(1, 15), profile(10, subscriptions=[UNSUBSCRIBED]))
        other = [opt_out(3, 5, lifted=True), profile(20, subscriptions=[{**SUBSCRIBED, "lifts": 3}])]
        await load(store, *other)
        assert await status(store) == "unsubscribed"
        assert await load(store, *other) == 0

    run_with_store(url, work)


def test_a_dump_of_the_same_store_brings_a_later_subscription_back(url: str) -> None:
    async def work(store: Store) -> None:
        await load(store, opt_out(1, 5), profile(10, subscriptions=[UNSUBSCRIBED]))
        await load(store, opt_out(1, 5, lifted=True), profile(20, subscriptions=[{**SUBSCRIBED, "lifts": 1}]))
        assert await status(store) == "subscribed"

    run_with_store(url, work)
