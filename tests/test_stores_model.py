"""The same requests to every engine: all give the same results, and have the same content afterwards.

The requests are canonical commands and run through the service's operations. After each, the contents are compared.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import structs

from gateway.core.faults import Refusal
from gateway.core.fingerprint import fingerprint
from gateway.core.model import (
    Command,
    CommandType,
    Database,
    IdempotencyKey,
    Identity,
    JournalEntry,
    Profile,
    Query,
    Token,
    Update,
)
from gateway.dialects import load_dialects
from gateway.dialects.protocol import COMMAND_TYPES
from gateway.schema.compiled import CompiledSchema
from gateway.service.changes import ChangeBuilder
from gateway.service.geolocation import Geolocator
from gateway.service.operations import Operations
from gateway.service.prepared_request import PreparedRequest
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.stores import postgresql

OWN = {"card": {"type": "string", "x-identifier": True}, "visits": {"type": "integer"}}
FIELDS = {"type": "object", "properties": {**OWN, "tags": {"type": "array", "items": {"type": "string"}}}}
TOKEN = Token("token", "", 1, frozenset(), 0)
(COURIER,) = (dialect for dialect in load_dialects({}) if dialect.name == "courier")

ids = st.integers(0, 5).map("#{}".format)
"""One of the existing profiles, by its index."""

emails = st.sampled_from(["ann@example.com", "Ann@Example.com", "bob@example.com", "cid@example.com"])
phones = st.sampled_from(["+79510000000", "+7 951 000-00-00", "+79510000001"])
externals = st.sampled_from(["one", "two"])
cards = st.sampled_from(["1", "2"])
VALUES = {"profile_id": ids, "external_id": externals, "email": emails, "phone": phones}


def matching(mode: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"mode": st.just(mode), "values": st.fixed_dictionaries(values)})


matches = st.one_of(
    matching("email", email=emails),
    matching("email_sub", email=emails),
    matching("phone", phone=phones),
    matching("email_phone", email=emails, phone=phones),
    matching("profile_id", profile_id=ids),
    matching("external_id", external_id=externals),
    matching("custom", field_name=st.just("card"), field_value=cards),
    matching("none"),
    st.fixed_dictionaries(
        {
            "mode": st.just("identifiers"),
            "values": st.fixed_dictionaries({}, optional=VALUES).filter(bool),
            "on_multiple": st.sampled_from(["reject", "first"]),
        }
    ),
)
own = st.fixed_dictionaries({}, optional={"card": cards | st.none(), "visits": st.integers(-9, 9)})
profiles = st.fixed_dictionaries(
    {},
    optional={
        "email": emails,
        "phone_numbers": st.lists(phones, max_size=2, unique=True) | st.none(),
        "external_id": externals,
        "given_name": st.sampled_from(["Ann", "\x00", "Ünal"]) | st.none(),
        "custom": own,
    },
)
operations = st.sampled_from(
    [
        {"function": "incr", "pointer": "/custom/visits", "value": 1},
        {"function": "add", "pointer": "/custom/tags", "value": ["a", "b"]},
        {"function": "delete", "pointer": "/custom/tags", "value": ["a"]},
        {"function": "set", "pointer": "/custom/card", "value": "2"},
    ]
)
segments = st.fixed_dictionaries({}, optional=dict.fromkeys(("add", "remove"), st.lists(st.integers(1, 3), max_size=2)))
rows = st.builds(lambda email: {"resource_id": 1, "channel": "email", "email": email}, emails)
kinds = ("email", "phone", "external_id", "custom")
updates = st.fixed_dictionaries(
    {"match": matches, "if_absent": st.sampled_from(["create", "create", "reject"]), "profile": profiles},
    optional={
        "operations": st.lists(operations, max_size=2),
        "segments": segments,
        "subscriptions": st.lists(rows, max_size=2),
        "on_conflict": st.sampled_from(["reject", "keep"]).map(lambda what: dict.fromkeys(kinds, what)),
        "patch": st.just([{"op": "add", "path": "/email", "value": "bob@example.com"}]),
    },
)
keys = st.none() | st.sampled_from(["first", "second"])
spans = st.fixed_dictionaries({}, optional={"from": st.integers(0, 30), "to": st.integers(0, 30)})
queries = st.fixed_dictionaries(
    {"limit": st.integers(1, 5), "sort": st.sampled_from(["id", "created", "updated", "email"])},
    optional={"descending": st.booleans(), "created": spans, "updated": spans},
)
named = st.fixed_dictionaries({"limit": st.just(9), "filters": st.lists(
    st.dictionaries(st.sampled_from(["email", "phone"]), st.lists(emails | phones, min_size=1, max_size=3), min_size=1),
    min_size=1, max_size=2)})  # fmt: skip

databases = itertools.count(10)


class StoreMachine(RuleBasedStateMachine):
    """The same requests to every engine, in a database of this example's own."""

    def __init__(self, runner: asyncio.Runner, stores: Sequence[Store]) -> None:
        super().__init__()
        self._runner, self._stores = runner, stores
        self._now = 0
        self._profiles: list[Profile] = []
        self._by_key: dict[str, tuple[str, list[Update]]] = {}
        self._database = Database(next(databases), "one", fields=FIELDS)
        self._schema = CompiledSchema(self._database, {})
        self._operations = [self._operations_on(store) for store in stores]
        for store in stores:
            runner.run(store.add_database(self._database))

    def _operations_on(self, store: Store) -> Operations:
        numbers = itertools.count(1)
        clock, new_id = lambda: self._now, lambda: f"{next(numbers):024x}"
        return Operations(store, ChangeBuilder(Geolocator(None), clock, new_id), clock, new_id)

    @initialize(several=st.lists(updates, min_size=6, max_size=12))
    def fill(self, several: list[Update]) -> None:
        self._run("batch", several)

    @rule(update=updates, key=keys)
    def change_one(self, update: Update, key: str | None) -> None:
        self._run("update", [update], key)

    @rule(several=st.lists(updates, min_size=1, max_size=6), key=keys, verb=st.sampled_from(["batch", "import"]))
    def change_many(self, several: list[Update], key: str | None, verb: str) -> None:
        self._run(verb, several, key)

    @rule(match=matches, on_multiple=st.sampled_from(["reject", "all"]), key=keys)
    def remove(self, match: dict[str, Any], on_multiple: str, key: str | None) -> None:
        self._run("remove", [{"match": {**match, "on_multiple": on_multiple}, "missing_ok": True}], key)

    @precondition(lambda self: len(self._profiles) > 1)
    @rule(merged=st.lists(ids, min_size=2, max_size=4), key=keys)
    def merge(self, merged: list[str], key: str | None) -> None:
        destination, *sources = dict.fromkeys(self._with_ids(merged))
        match = {"mode": "profile_id", "values": {"profile_id": destination}}
        if sources:
            self._run("merge", [{"match": match, "sources": sources}], key)

    @rule(key=keys)
    def repeat(self, key: str | None) -> None:
        if key in self._by_key:
            self._run(*self._by_key[key], key)

    @rule(match=matches)
    def find(self, match: dict[str, Any]) -> None:
        self._run("find", [{"match": match}])

    @rule(query=queries | named)
    def list_profiles(self, query: dict[str, Any]) -> None:
        found = self._run("list", [{"match": {"mode": "none", "values": {}}, "query": query}])
        if isinstance(found, list) and found and "filters" not in query:
            last = found[-1]
            value = {"id": last.id, "created": last.created, "updated": last.updated}
            place = value[query["sort"]] if query["sort"] in value else last.document.get("email", "\U0010ffff")
            query = {**query, "after": [place, last.id]}
            self._run("list", [{"match": {"mode": "none", "values": {}}, "query": query}])

    @rule(pause=st.integers(1, 9))
    def wait(self, pause: int) -> None:
        self._now += pause

    @invariant()
    def contents_are_equal(self) -> None:
        self._profiles = self._same([self._runner.run(profiles_of(store, self._database.id)) for store in self._stores])

    def teardown(self) -> None:
        self._same([self._runner.run(everything(store, self._database.id, self._now)) for store in self._stores])

    def _run(self, verb: str, commands: list[Update], key: str | None = None) -> Any:
        if key:
            self._by_key[key] = verb, commands
        once = IdempotencyKey(key, f"1:{fingerprint(repr((verb, commands)))}", self._now + 20) if key else None
        commands = self._with_ids(commands)
        validated = [self._validate(update, COMMAND_TYPES[verb]) for update in commands]
        request = PreparedRequest(COURIER, TOKEN, self._database, self._schema, validated, commands, once)
        return self._same([self._runner.run(run(operations, verb, request)) for operations in self._operations])

    def _with_ids(self, commands: Any) -> Any:
        """Return commands with the id of a profile in place of each index."""
        if isinstance(commands, dict):
            return {name: self._with_ids(value) for name, value in commands.items()}
        if isinstance(commands, list):
            return [self._with_ids(value) for value in commands]
        if isinstance(commands, str) and commands.startswith("#"):
            return self._profiles[int(commands[1:]) % len(self._profiles)].id if self._profiles else "0" * 24
        return commands

    def _validate(self, update: Command, type: CommandType) -> Command | Refusal:
        _, faults = self._schema.validate(update, type)
        return Refusal(faults) if faults else update

    def _same(self, results: list[Any]) -> Any:
        for other in results[1:]:
            assert other == results[0]
        return results[0]


async def run(operations: Operations, verb: str, request: PreparedRequest) -> Any:
    """Return the results, or the faults of a refusal."""
    try:
        return await operations.run(verb, request)
    except Refusal as refusal:
        return tuple(refusal.faults)


async def profiles_of(store: Store, database: int) -> list[Profile]:
    return await store.page(database, Query(1000))


async def everything(store: Store, database: int, now: int) -> list[Any]:
    """Return the content of a database, and the profiles that each identity names, without expired answers."""
    named = [await store.find(database, [identity]) for identity in IDENTITIES]
    async with store.snapshot() as snapshot:
        parts = snapshot.profiles(database), _unplaced(snapshot.journal(database)), snapshot.jobs(database)
        answers = [each async for each in snapshot.answers(database) if each.once.until >= now]
        return [named, answers, *[[row async for row in part] for part in parts]]


async def _unplaced(entries: AsyncIterator[JournalEntry]) -> AsyncIterator[JournalEntry]:
    """Yield entries without their positions, which are the engine's."""
    async for entry in entries:
        yield structs.replace(entry, position=0)


IDENTITIES: list[Identity] = [
    *(("email", f"{name}@example.com") for name in ("ann", "bob", "cid")),
    *(("phone", f"+7951000000{n}") for n in range(2)),
    ("email_sub@1", "ann@example.com"),
    ("custom/card", "2"),
    ("external_id", "one"),
]


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def stores(runner: asyncio.Runner, tmp_path: Path) -> Iterator[list[Store]]:
    urls = "memory:", f"sqlite:///{tmp_path}/profiles.db", postgresql.fresh()
    stores = [runner.run(open_store(url, create=True)) for url in urls]
    yield stores
    for store in stores:
        runner.run(store.close())


@pytest.mark.law
def test_all_engines_give_the_same_results(runner: asyncio.Runner, stores: list[Store]) -> None:
    examples = hypothesis.settings().max_examples // 40
    settings = hypothesis.settings(max_examples=examples, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(lambda: StoreMachine(runner, stores), settings=settings)
