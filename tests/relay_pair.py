"""A gateway with a relay to an account, in this process: a second gateway, or what replies in its place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from msgspec.structs import asdict

from gateway.core.difference import member_changes
from gateway.core.subscribers import Delivery, Subscriber
from gateway.dialects import load_dialects
from gateway.dialects.outgoing import ProfileState, Target
from gateway.feed.connection import HttpResponse
from gateway.feed.delivery import SubscriberDelivery
from gateway.feed.relay.relays import RELAY, NewRelay, open_relay, relay_status
from gateway.feed.relay.states import touched_members
from gateway.feed.retries import MAX_AGE
from gateway.feed.runner import SenderContext
from tests.far_side import OUTGOING, SECRET, TARGETS, FarSide, far_side

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
        return await relay_status(self.near.store, relay, 100, self.now)


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


class TestConnections:
    """See `Connections`. Requests go to a network of httpx."""

    __test__ = False

    def __init__(self, network: httpx.AsyncBaseTransport) -> None:
        self._network = network

    async def exchange(self, request: bytes) -> HttpResponse:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = [tuple(each.split(": ", 1)) for each in lines]
        sent = httpx.Request(method, f"http://127.0.0.1:1{target}", headers=headers, content=body)
        response = await self._network.handle_async_request(sent)
        return HttpResponse(response.status_code, response.headers, await response.aread())

    def close(self) -> None:
        """Nothing is open."""


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
        async with open_relay(context, KEYS, None, lambda *_: TestConnections(network)) as sender:
            delivery = SubscriberDelivery(near.store, relay, "test", sender, lambda: found.now, lambda: 0.5)
            found = Pair(near, far, relay, delivery)
            yield found, network


async def retry_beyond_max_age(found: Pair, network: Faulty) -> None:
    """Let the far side fail until an hour after the age at which a delivery is dead, and then answer."""
    network.replies = [reply(503)] * 3_000
    while found.now < START + MAX_AGE + 3_600_000:
        await found.delivery.run_round()
        found.now = max(found.delivery.next_due(), found.now + 600_000)
    assert await found.dead() == []
    network.replies = []
    await found.catch_up()


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
