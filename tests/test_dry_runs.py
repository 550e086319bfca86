"""Dry runs of random requests in every dialect: each predicts what the request then does, and stores nothing."""

import asyncio
import random
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx
import jsonpatch
from msgspec.structs import replace

from gateway.core.faults import Fault
from gateway.core.journal import forward_patch
from gateway.core.model import Job, JournalEntry, Profile, Query
from gateway.core.visible_values import visible_document
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Dialect, Reply, Result
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.cases import HOST, NOW, Case, seed_store, sequential_ids
from tests.stores import journal_entries

REQUESTS = 1_000
TOKEN = "abcdefghijklmnqrstuvwxyz"
EMAILS = ("ann@example.com", "bob@example.com", "Ann@Example.com", "cy@example.com", "nobody")
PHONES = ("+12025550123", "+12025550124", "+79511059000", "555")
EXTERNAL = ("x-1", "x-2", "x-3")
NAMES = ("Ann", "Bob", 5, None, "")
TOKENS = ("a81c264a938b", "b7")


class OutcomeRecorder:
    """Records what the dialects render: the outcomes of a request, or its faults."""

    def __init__(self) -> None:
        self.outcomes: Sequence[Any] = ()
        self.dialects = [self._record(dialect) for dialect in load_dialects({})]
        self._pointers = {
            (call.method, call.path): call.pointers for dialect in self.dialects for call in dialect.calls
        }

    def with_call_pointers(self, method: str, path: str, row: Any) -> Any:
        """Return a row with the call's own pointers, as the service renders them."""
        names = self._pointers.get((method, path), {})
        return {**row, "faults": [self._with_call_pointer(fault, names) for fault in row["faults"]]}

    def _with_call_pointer(self, fault: Any, names: Mapping[str, str]) -> Any:
        place = next((place for place in names if fault["pointer"].startswith(place)), "")
        return {**fault, "pointer": names.get(place, "") + fault["pointer"].removeprefix(place)}

    def _record(self, dialect: Dialect) -> Dialect:
        recorded: Any = dialect
        recorded.calls = tuple(replace(call, render=self._record_outcomes(call.render)) for call in dialect.calls)
        recorded.render_faults = self._record_faults(dialect.render_faults)
        return dialect

    def _record_outcomes(self, render: Callable[[Result], Reply]) -> Callable[[Result], Reply]:
        def record(answer: Result) -> Reply:
            self.outcomes = answer.outcomes
            return render(answer)

        return record

    def _record_faults(self, render: Callable[[Sequence[Fault]], Reply]) -> Callable[[Sequence[Fault]], Reply]:
        def record(faults: Sequence[Fault]) -> Reply:
            self.outcomes = [faults]
            return render(faults)

        return record


# --- random requests ---


class Requests:
    """Requests of every writing call: (method, path, headers, body). Many are wrong in some way."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.ids: list[str] = ["000000000000000000000001"]

    def next(self) -> tuple[str, str, dict[str, str], Any]:
        return self._pick((self._altcraft, self._courier, self._klaviyo))()

    def _pick(self, some: Sequence[Any]) -> Any:
        return self._random.choice(some)

    def _some(self, **fields: Sequence[Any]) -> dict[str, Any]:
        return {name: self._pick(values) for name, values in fields.items() if self._random.random() < 0.5}

    def _altcraft(self) -> tuple[str, str, dict[str, str], Any]:
        if self._random.random() < 0.3:
            return self._altcraft_part()
        call = self._pick(("update", "import", "add", "delete", "import_batch", "update_batch", "add_batch"))
        matching = self._pick(("email", "phone", "email_phone", "profile_id"))
        data: Any = self._altcraft_data()
        named = {"email": self._pick(EMAILS), "phone": self._pick(PHONES), "profile_id": self._pick(self.ids)}
        if call.endswith("_batch"):
            data = [{**self._altcraft_data(), "email": self._pick(EMAILS)} for _ in range(4)]
            matching = "email"
        body = {"token": TOKEN, "db_id": 1, "matching": matching, **named}
        return "POST", f"/api/v1.1/profiles/{call}", {}, body if call == "delete" else {**body, "data": data}

    def _altcraft_part(self) -> tuple[str, str, dict[str, str], Any]:
        """One segment or one subscription of a profile."""
        named = {"token": TOKEN, "db_id": 1, "profile_id": self._pick(self.ids)}
        call = self._pick(("profiles/segstatic/add", "profiles/segstatic/remove", "subscriptions/set"))
        if call != "subscriptions/set":
            return "POST", f"/api/v1.1/{call}", {}, {**named, **self._some(segment_id=(5, 7, "x"))}
        push = {"channel": "push", "provider": "ios-apns", "subscription_id": self._pick(TOKENS)}
        mail = {"channel": "email", "email": self._pick(EMAILS)}
        members = {"resource_id": self._pick((5, 6)), **self._pick((push, mail)), **self._some(priority=(1, -2))}
        return "POST", f"/api/v1.1/{call}", {}, {**named, **members}

    def _altcraft_data(self) -> dict[str, Any]:
        data = self._some(email=EMAILS, _fname=NAMES, _sex=("male", "x", 1), tags=(["a"], "b"))
        functions = ({"action": "incr", "value": 1}, {"action": "incr", "value": "x"}, {"action": "unset"}, 7)
        subscription = {"resource_id": 5, "channel": "email", "email": self._pick(EMAILS), "status": "subscribed"}
        return {
            **data,
            **self._some(visits=functions, phones=(list(PHONES[:2]), [PHONES[2]]), subscriptions=([subscription],)),
        }

    def _courier(self) -> tuple[str, str, dict[str, str], Any]:
        method = self._pick(("POST", "PUT", "PATCH", "DELETE", "LISTS"))
        headers = {"authorization": f"Bearer {TOKEN}"}
        path = f"/profiles/{self._pick(EXTERNAL)}"
        if method == "LISTS":
            lists = self._some(lists=([{"listId": "vip"}], [{"listId": 5}], [{"listId": "7", "preferences": {}}]))
            return self._pick(("POST", "DELETE")), f"{path}/lists", headers, lists
        if method == "PATCH":
            operation = self._some(
                op=("add", "remove", "test"), path=("/email", "/custom", "/x/y"), value=(*EMAILS, {})
            )
            return method, path, headers, {"patch": [operation]}
        profile = self._some(
            email=EMAILS, phone_number=PHONES, given_name=NAMES, custom=({"a": 1}, None), discord=({},)
        )
        return method, path, headers, None if method == "DELETE" else {"profile": profile}

    def _klaviyo(self) -> tuple[str, str, dict[str, str], Any]:
        headers = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2025-10-15"}
        calls = (self._create, self._patch, self._import, self._job, self._merge, self._deletion)
        calls += (self._subscriptions, self._suppressions, self._push_token, self._end_of_push_token)
        return (*self._pick(calls)()[:2], headers, self._last)

    def _resource(self) -> dict[str, Any]:
        attributes = self._some(email=EMAILS, phone_number=PHONES, external_id=EXTERNAL, first_name=NAMES)
        properties = self._some(properties=({"plan": "pro"}, {"visits": None}, []), location=({"latitude": "91"}, None))
        return {"type": "profile", "attributes": {**attributes, **properties}}

    def _create(self) -> tuple[str, str]:
        self._last: Any = {"data": self._resource()}
        return "POST", "/api/profiles"

    def _patch(self) -> tuple[str, str]:
        id = self._pick(self.ids)
        meta = {"patch_properties": self._some(append=({"tags": "a"}, {"plan": "b"}), unset=("plan", 5))}
        self._last = {"data": {**self._resource(), "id": id, "meta": meta}}
        return "PATCH", f"/api/profiles/{id}"

    def _import(self) -> tuple[str, str]:
        self._last = {"data": self._resource()}
        return "POST", "/api/profile-import"

    def _job(self) -> tuple[str, str]:
        profiles = [self._resource() for _ in range(5)]
        self._last = {"data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}}
        return "POST", "/api/profile-bulk-import-jobs"

    def _merge(self) -> tuple[str, str]:
        sources = {"profiles": {"data": [{"type": "profile", "id": self._pick(self.ids)}]}}
        self._last = {"data": {"type": "profile-merge", "id": self._pick(self.ids), "relationships": sources}}
        return "POST", "/api/profile-merge"

    def _subscriptions(self) -> tuple[str, str]:
        """All or none; consent to what is given, of some profiles."""
        kind = self._pick(("create", "delete"))
        consent = {"email": {"marketing": {"consent": "SUBSCRIBED" if kind == "create" else "UNSUBSCRIBED"}}}
        attributes = [{"email": self._pick(EMAILS), "subscriptions": consent} for _ in range(self._pick((1, 2)))]
        profiles = {"data": [{"type": "profile", "attributes": each} for each in attributes]}
        lists = self._some(relationships=({"list": {"data": {"type": "list", "id": "7"}}},))
        type = f"profile-subscription-bulk-{kind}-job"
        self._last = {"data": {"type": type, "attributes": {"profiles": profiles}, **lists}}
        return "POST", f"/api/{type}s"

    def _suppressions(self) -> tuple[str, str]:
        type = f"profile-suppression-bulk-{self._pick(('create', 'delete'))}-job"
        attributes = [{"email": self._pick(EMAILS)} for _ in range(self._pick((1, 3)))]
        profiles = {"data": [{"type": "profile", "attributes": each} for each in attributes]}
        self._last = {"data": {"type": type, "attributes": {"profiles": profiles}}}
        return "POST", f"/api/{type}s"

    def _push_token(self) -> tuple[str, str]:
        """One of few, so that it is often taken from another profile."""
        device = {"token": self._pick(TOKENS), "platform": "ios", "vendor": "apns"}
        attributes = {**device, **self._some(background=("x", None)), "profile": {"data": self._resource()}}
        self._last = {"data": {"type": "push-token", "attributes": attributes}}
        return "POST", "/api/push-tokens"

    def _end_of_push_token(self) -> tuple[str, str]:
        id = urlsafe_b64encode(f"ios-apns:{self._pick(TOKENS)}".encode()).decode().rstrip("=")
        self._last = None
        return "DELETE", f"/api/push-tokens/{id}"

    def _deletion(self) -> tuple[str, str]:
        profile = {"type": "profile", "attributes": {"email": self._pick(EMAILS)}}
        self._last = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile}}}}
        return "POST", "/api/data-privacy-deletion-jobs"


# --- comparison ---


def test_a_dry_run_predicts_what_the_request_does() -> None:
    asyncio.run(compare_requests(REQUESTS))


async def compare_requests(count: int) -> None:
    recorder, requests, numbers = OutcomeRecorder(), Requests(7), sequential_ids()
    store = await open_store("memory:", create=True)
    await seed_store(store, Case(Path("/absent"), "json", {}))

    async def opened(_url: str) -> Store:
        return store

    settings, world = Settings(rate_limits=0), World(store)
    app = create(settings, recorder.dialects, now=lambda: world.time, new_id=lambda: next(numbers), open_store=opened)
    counts: dict[str, int] = {}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            for _ in range(count):
                for word in await compare(client, world, recorder, requests):
                    counts[word] = counts.get(word, 0) + 1
    words = ("created", "updated", "unchanged", "removed", "absent", "refused")
    assert min(counts.get(word, 0) for word in words) > 10, counts


class World:
    """The profiles of a store, and a clock that does not advance between a dry run and its request."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.time = NOW
        self.documents: dict[str, Any] = {}

    async def read(self) -> list[JournalEntry]:
        """Read the current profiles. Return the entries of the current time."""
        self.documents = {each.id: each.document for each in await self._store.page(1, Query(1000))}
        return [each for each in await journal_entries(self._store) if each.origin.time == self.time]


async def compare(client: httpx.AsyncClient, world: World, recorder: OutcomeRecorder, requests: Requests) -> list[str]:
    """Send one request twice, as a dry run first. Return the outcomes of the dry run."""
    method, path, headers, body = requests.next()
    before, world.time = world.documents, world.time + 1
    dry = await client.request(method, path, params={"dry_run": "true"}, headers=headers, json=body)
    dry_faults = recorder.outcomes
    assert await world.read() == []
    assert world.documents == before
    real = await client.request(method, path, headers=headers, json=body)
    if "dry_run" not in dry.text:
        assert (dry.status_code, dry.content, dry_faults) == (real.status_code, real.content, recorder.outcomes)
        return []
    rows = dry.json()["results"]
    check_changes(rows, await world.read(), before, world.documents)
    for row, outcome in zip(rows, outcomes_of(recorder.outcomes, len(rows)), strict=True):
        check_outcome(recorder.with_call_pointers(method, path, row), outcome)
    requests.ids = list(world.documents)[-6:] or requests.ids
    return [row["outcome"] for row in rows]


def check_changes(rows: list[Any], entries: list[JournalEntry], before: dict[str, Any], after: dict[str, Any]) -> None:
    """Check that the patches of the dry run lead to the documents after the request, as clients see them."""
    changes = [change for row in rows for change in row["changes"]]
    patches = [sorted(change["patch"], key=itemgetter("path")) for change in changes]
    # One without a patch is for the undo of a merge, or for consent that the facts about an address changed.
    entries = [entry for entry in entries if forward_patch(entry)]
    assert patches == [sorted(forward_patch(entry), key=itemgetter("path")) for entry in entries]
    documents = dict(before)
    for change, entry in zip(changes, entries, strict=True):
        assert change["profile"] in (None, entry.profile)
        removed = change["patch"] == [{"op": "remove", "path": ""}]
        document = documents.get(entry.profile)
        documents[entry.profile] = None if removed else jsonpatch.apply_patch(document, change["patch"])
    present = {id: visible_document(document) for id, document in documents.items() if document is not None}
    assert present == {id: visible_document(document) for id, document in after.items()}


def outcomes_of(recorded: Sequence[Any], count: int) -> Iterator[Any]:
    """Yield the outcome of each update: a profile, None, or its faults as a dry run renders them."""
    for outcome in recorded:
        if isinstance(outcome, Job):
            failures = {row["index"]: [Fault(**fault) for fault in row["faults"]] for row in outcome.failures}
            yield from (render_faults(failures[index]) if index in failures else ... for index in range(count))
        else:
            yield render_faults(outcome) if isinstance(outcome, Sequence) else outcome


def render_faults(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    return [
        {
            "name": fault.code,
            "status": fault.status,
            "detail": fault.text,
            "pointer": fault.pointer,
            "profile": fault.profile or None,
        }
        for fault in faults
    ]


def check_outcome(row: dict[str, Any], outcome: Any) -> None:
    if isinstance(outcome, list):
        # A dry run omits the id of a profile that it would create.
        expected = [
            {**real, "profile": real["profile"] and dry["profile"]} if dry["profile"] is None else real
            for dry, real in zip(row["faults"], outcome, strict=True)
        ]
        assert (row["outcome"], row["faults"]) == ("refused", expected)
        return
    assert row["faults"] == []
    if isinstance(outcome, Profile) and row["profile"] is not None:
        assert row["profile"] == outcome.id
        assert row["matched_by"] is not None
    if outcome is None:
        assert row["outcome"] == "absent"
