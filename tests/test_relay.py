"""A relay to a second gateway: both sides have the same profiles, in what the vendor can say.

`RELAY_HISTORIES` is the number of random histories of each pair of dialects and media type.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from gateway.core.difference import member_changes
from gateway.core.subscribers import ACTIVE, DISABLED, Delivery, Subscriber
from gateway.dialects import load_dialects
from gateway.dialects.outgoing import ProfileState, Target
from gateway.feed.delivery import SubscriberDelivery
from gateway.feed.relay.relays import RELAY, NewRelay, open_relay, relay_status
from gateway.feed.relay.states import touched_members
from gateway.feed.runner import SenderContext
from tests.far_side import OUTGOING, SECRET, TARGETS, FarSide, far_side, sayable
from tests.test_outgoing import DIALECTS, documents_of, expected, leaves, texts

HISTORIES = int(os.environ.get("RELAY_HISTORIES", "2"))
START = 1_767_225_600_000
KEYS = {name: each for each in load_dialects({}) for name in [each.name]}


class Pair:
    """A gateway, a relay of it, and the account that it sends to. `fail` may replace a reply of the account."""

    def __init__(self, near: FarSide, far: FarSide, relay: Subscriber, delivery: SubscriberDelivery) -> None:
        self.near, self.far, self.relay, self.delivery = near, far, relay, delivery
        self.now = START
        self.ids: dict[str, str] = {}

    async def catch_up(self) -> None:
        """Deliver until nothing waits."""
        while True:
            while await self.delivery.run_round():
                pass
            if not (due := self.delivery.next_due()) or due > self.now + 4 * 24 * 3_600_000:
                return
            self.now = due

    async def dead(self) -> list[Delivery]:
        return await self.near.store.deliveries(1, self.relay.id, True, 0, 100)

    async def status(self) -> dict[str, Any]:
        [relay] = await self.near.store.subscribers()
        return await relay_status(self.near.store, relay, 100)


class Faulty(httpx.AsyncBaseTransport):
    """A network to the account. `replies` are given in place of its own, one for each request, None for its own."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.replies: list[httpx.Response | None] = []
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        reply = self.replies.pop(0) if self.replies else None
        return reply or await self._inner.handle_async_request(request)


@asynccontextmanager
async def pair(
    source: str, target: str, media: str = "json", far_media: str = "json", **configured: Any
) -> AsyncIterator[tuple[Pair, Faulty]]:
    """Open a gateway and an account with a relay between them."""
    async with far_side(source, media) as near, far_side(target, far_media) as far:
        new = NewRelay(target, "http://127.0.0.1:1", far_media, Target(**configured), 1.0)
        stored = {**asdict(new), "target": asdict(new.target)}
        relay = Subscriber(1, "rl_1", RELAY, START, stored, "", (await near.store.journal_range(1)).newest)
        await near.store.add_subscriber(relay)
        assert await near.store.lease_subscriber(1, relay.id, "test", START, 2 * START)
        network = Faulty(far.transport)

        async def wait_for_clients() -> None:
            return None

        context = SenderContext(near.store, relay, SECRET, wait_for_clients, lambda: found.now)
        async with open_relay(context, KEYS, None, lambda: network) as sender:
            delivery = SubscriberDelivery(near.store, relay, "test", sender, lambda: found.now, lambda: 0.5)
            found = Pair(near, far, relay, delivery)
            yield found, network


async def write(near: FarSide, dialect: str, person: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Send what a client of a dialect sends to bring a person from one document to another, or to remove it."""
    outgoing, target = OUTGOING[dialect], TARGETS[dialect]
    touched = touched_members(member_changes(before, after))
    state = ProfileState(person, after or before, list(touched), touched, near.ids.get(person), time=START)
    if after:
        id = await near.bring(state, target)
        near.ids.update({person: id} if id else {})
        return
    for request in outgoing.render_removal(state, target, True).requests:
        reply = await near.send(request)
        assert reply.status_code < 300 or reply.status_code == 404, (request, reply.text)
    near.ids.pop(person, None)


def histories(media: set[str]) -> st.SearchStrategy[list[tuple[int, dict[str, Any]]]]:
    """Return steps: a person, and the document after it; an empty one removes the person."""
    values = st.one_of(texts, st.lists(texts, min_size=2, max_size=3)) if "xml" in media else leaves
    document = st.one_of(documents_of(values), documents_of(values), documents_of(values), st.just({}))
    return st.lists(st.tuples(st.integers(0, 2), document), min_size=1, max_size=8)


def of_person(number: int, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the identifiers of a person."""
    if not document:
        return {}
    email = f"person{number}@example.com"
    own: dict[str, Any] = {"external_id": f"customer-{number}", "email": email}
    subscriptions = [
        {**each, "email": email}
        if "email" in each
        else {**each, "subscription_id": f"{each['subscription_id']}-{number}"}
        for each in document.get("subscriptions", ())
    ]
    if "phone_numbers" in document:
        own["phone_numbers"] = [f"+1202555010{number}"]
    return {**document, **own, **({"subscriptions": subscriptions} if subscriptions else {})}


PAIRS = [
    *((source, target, "json", "json") for source, target in itertools.product(DIALECTS, DIALECTS)),
    *((source, "altcraft", "xml" if source == "altcraft" else "json", "xml") for source in DIALECTS),
    *(("altcraft", target, "xml", "json") for target in ("courier", "klaviyo")),
]


@pytest.mark.parametrize(("source", "target", "media", "far_media"), PAIRS)
def test_both_sides_have_the_same_profiles(source: str, target: str, media: str, far_media: str) -> None:
    @settings(max_examples=HISTORIES, phases=(Phase.explicit, Phase.reuse, Phase.generate))
    @given(histories({media, far_media}))
    def check(history: list[tuple[int, dict[str, Any]]]) -> None:
        asyncio.run(run_history(history, source, target, media, far_media))

    check()


async def run_history(
    history: list[tuple[int, dict[str, Any]]], source: str, target: str, media: str, far_media: str
) -> None:
    async with pair(source, target, media, far_media, deletes=True) as (found, _network):
        documents: dict[int, dict[str, Any]] = {}
        for number, (person, document) in enumerate(history):
            before, after = documents.get(person, {}), of_person(person, document)
            if before or after:
                await write(found.near, source, f"p{person}", before, after)
            documents[person] = after
            if number % 3 == 2:
                await found.catch_up()
        await found.catch_up()
        assert [each.reason for each in await found.dead()] == []
        near = {each["email"]: each for each in await found.near.documents()}
        far = {each["email"]: each for each in await found.far.documents() if "email" in each}
        assert near.keys() == far.keys() or (target == "klaviyo" and near.keys() <= far.keys())
        for email, document in near.items():
            there = far[email] if "external_id" in document else {**far[email], "external_id": None}
            assert comparable(sayable(there, target), target) == comparable(expected(document, target), target)


def comparable(said: dict[str, Any], target: str) -> dict[str, Any]:
    """Return what is said without subscriptions that ended: for Klaviyo they are opt-outs."""
    if target != "klaviyo":
        return said
    own = [each for each in said.get("subscriptions", ()) if each.endswith(" subscribed")]
    rest = {name: value for name, value in said.items() if name != "subscriptions"}
    return {**rest, "subscriptions": own} if own else rest


# --- one thing each ---

PERSON = {"external_id": "customer-1", "email": "person1@example.com", "given_name": "Ann"}


def reply(status: int, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(
        status, json=body or {}, headers={name.replace("_", "-"): each for name, each in headers.items()}
    )


def lived(work: Any, source: str = "courier", target: str = "courier", **configured: Any) -> None:
    async def run() -> None:
        async with pair(source, target, **configured) as (found, network):
            await work(found, network)

    asyncio.run(run())


def test_waiting_changes_of_a_profile_are_one_request_and_an_opt_out_is_one_of_its_own() -> None:
    out = {
        **PERSON,
        "subscriptions": [{"resource_id": 5, "channel": "email", "email": PERSON["email"], "status": "unsubscribed"}],
    }
    back = {**out, "subscriptions": [{**out["subscriptions"][0], "status": "subscribed"}], "given_name": "Bea"}

    async def work(found: Pair, network: Faulty) -> None:
        for before, after in itertools.pairwise([{}, PERSON, out, back]):
            await write(found.near, "altcraft", "p1", before, after)
        await found.catch_up()
        bodies = [each.content.decode() for each in network.seen]
        assert len(bodies) == 2
        assert '"unsubscribed"' in bodies[0]
        assert '"subscribed"' in bodies[1]

    lived(work, "altcraft", "altcraft")


def test_what_may_pass_is_sent_again_in_order_and_what_may_not_is_a_dead_letter() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        network.replies = [reply(503), reply(429, retry_after="7"), reply(400, {"message": "no Ann, please"})]
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        assert len(network.seen) == 3
        assert found.now >= START + 7_000
        [dead] = await found.dead()
        assert dead.reason == "POST /profiles/***: HTTP 400 no ***, please"
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "given_name": "Bea"})
        await found.catch_up()
        [there] = await found.far.documents()
        assert there["given_name"] == "Bea"

    lived(work)


def test_a_refused_credential_stops_the_relay_and_loses_nothing() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        network.replies = [reply(401)]
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.delivery.run_round()
        assert found.delivery.subscriber.state == DISABLED
        await found.near.store.resume_subscriber(1, "rl_1", None)
        found.delivery.subscriber = replace(found.delivery.subscriber, state=ACTIVE)
        found.now += 600_000
        await found.catch_up()
        assert len(await found.far.documents()) == 1

    lived(work)


def test_a_field_that_the_vendor_refuses_is_left_out_and_counted() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        words = 'with field "shoe": Incorrect field'
        network.replies = [reply(400, {"error": 400, "error_text": words})]
        await write(found.near, "courier", "p1", {}, {**PERSON, "custom": {"shoe": 42, "hat": 7}})
        await found.catch_up()
        assert len(network.seen) == 2
        assert b"shoe" not in network.seen[1].content
        [there] = await found.far.documents()
        assert there["custom"] == {"hat": 7}
        assert (await found.status())["skipped"]["/custom/shoe"] == 1

    lived(work, "courier", "altcraft")


def test_a_profile_that_the_vendor_has_lost_is_sent_as_a_whole() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        missing = {"error": 404, "error_text": "Profile not found"}
        network.replies = [reply(404, missing)]
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "family_name": "Lee"})
        await found.catch_up()
        paths = [each.url.path.rpartition("/")[2] for each in network.seen]
        assert paths == ["import", "update", "import"]
        assert b"Ann" in network.seen[-1].content

    lived(work, "courier", "altcraft")


def test_what_came_from_the_account_is_not_sent_back() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        [entry] = [each async for each in _entries(found)] or [None]
        assert entry is None
        await write(found.near, "courier", "p1", {}, PERSON)
        [entry] = [each async for each in _entries(found)]
        sender = found.delivery._sender
        assert sender.selects(entry)
        sender._account = replace(sender._account, ignored=frozenset({entry.origin.token}))  # type: ignore[attr-defined]
        await found.catch_up()
        assert network.seen == []

    lived(work)


async def _entries(found: Pair) -> AsyncIterator[Any]:
    for each in await found.near.store.journal(1, found.relay.position, 100):
        yield each


def test_a_removal_is_passed_on_and_the_id_of_the_vendor_forgotten() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        [profile] = [each async for each in _profiles(found)]
        assert await found.near.store.notes(1, "rl_1", [profile.id])
        await write(found.near, "courier", "p1", PERSON, {})
        await found.catch_up()
        assert await found.far.documents() == []
        assert await found.near.store.notes(1, "rl_1", [profile.id]) == {}

    lived(work, "courier", "altcraft")


async def _profiles(found: Pair) -> AsyncIterator[Any]:
    async with found.near.store.snapshot() as snapshot:
        async for each in snapshot.profiles(1):
            yield each


def test_an_erasure_is_passed_on_by_the_id_alone_and_leaves_no_trace() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "klaviyo", "p1", {}, PERSON)
        await found.catch_up()
        network.replies = [reply(400, {"message": "no"})]
        await write(found.near, "klaviyo", "p1", PERSON, {**PERSON, "given_name": "Bea"})
        await found.catch_up()
        assert len(await found.dead()) == 1
        [profile] = [each async for each in _profiles(found)]
        await write(found.near, "klaviyo", "p1", {**PERSON, "given_name": "Bea"}, {})
        await found.catch_up()
        assert await found.far.documents() == []
        assert await found.dead() == []
        assert await found.near.store.notes(1, "rl_1", [profile.id]) == {}
        assert "example.com" not in str([network.seen[-1].url, network.seen[-1].content])

    lived(work, "klaviyo", "klaviyo")


@pytest.mark.parametrize("target", ["altcraft", "klaviyo"])
def test_a_removal_is_sent_before_a_new_profile_of_the_same_person(target: str) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "altcraft", "p1", {}, PERSON)
        await found.catch_up()
        await write(found.near, "altcraft", "p1", PERSON, {})
        await write(found.near, "altcraft", "p1", {}, {**PERSON, "given_name": "Bea"})
        await found.catch_up()
        assert [each["given_name"] for each in await found.far.documents()] == ["Bea"]

    lived(work, "altcraft", target, deletes=True)


SUPPRESSIONS = "/api/profile-suppression-bulk-{}-jobs"


async def change_suppression(near: FarSide, verb: str, email: str) -> None:
    """Run a job of Klaviyo that suppresses an address (`create`), or lifts its suppression (`delete`)."""
    person = {"type": "profile", "attributes": {"email": email}}
    attributes = {"profiles": {"data": [person]}}
    tree = {"data": {"type": f"profile-suppression-bulk-{verb}-job", "attributes": attributes}}
    async with httpx.AsyncClient(transport=near.transport, base_url="http://near") as client:
        headers = {"authorization": f"Klaviyo-API-Key {SECRET}", "revision": "2026-07-15"}
        reply = await client.post(SUPPRESSIONS.format(verb), json=tree, headers=headers)
        assert reply.status_code == 202, reply.text


def paths(network: Faulty) -> list[str]:
    """Return the paths of the requests so far, and forget them."""
    seen, network.seen = [each.url.path for each in network.seen], []
    return seen


def test_a_suppression_reaches_each_profile_of_the_address_and_its_end_too() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        for person in ("p1", "p2"):
            await write(found.near, "courier", person, {}, {**PERSON, "external_id": person})
        await found.catch_up()
        paths(network)
        for verb, facts in (("create", {"suppressed"}), ("delete", set[str]())):
            await change_suppression(found.near, verb, PERSON["email"])
            await found.catch_up()
            assert paths(network).count(SUPPRESSIONS.format(verb)) == 2
            ledgers = await found.far.store.ledgers(1, [f"email:{PERSON['email']}"])
            assert {reason for each in ledgers.values() for reason in each.facts[""]} == facts
            await change_suppression(found.near, verb, PERSON["email"])
            await found.catch_up()
            assert paths(network) == []
        assert await found.dead() == []

    lived(work, "courier", "klaviyo")


def test_a_suppression_suspends_the_subscription_and_its_end_restores_it() -> None:
    mail = {"resource_id": 5, "channel": "email", "email": PERSON["email"]}

    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await change_suppression(found.near, "create", PERSON["email"])
        await found.catch_up()
        [there] = await found.far.documents()
        assert there["subscriptions"] == [{**mail, "status": "suspended"}]
        assert len(paths(network)) == 1

    lived(work, "courier", "altcraft", resource=5)


@pytest.mark.parametrize("target", ["altcraft", "klaviyo"])
def test_an_address_brings_its_facts_to_the_profile_that_gets_it(target: str) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await change_suppression(found.near, "create", "gone@example.com")
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "email": "gone@example.com"})
        await found.catch_up()
        if target == "klaviyo":
            assert (
                "suppressed"
                in (await found.far.store.ledgers(1, ["email:gone@example.com"]))["email:gone@example.com"].facts[""]
            )
        else:
            documents = [each for each in await found.far.documents() if each["email"] == "gone@example.com"]
            assert documents
            for each in documents:
                assert [one["status"] for one in each["subscriptions"]] == ["suspended"]

    lived(work, "courier", target, **({"resource": 5} if target == "altcraft" else {}))
