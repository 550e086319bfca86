"""What Altcraft's imports start: its way through the journal, the feed, merges and a relay."""

from typing import Any

from gateway.dialects.outgoing import OutgoingRequest
from tests.cases import NOW
from tests.test_feed import DATABASE, Conversation, conversed
from tests.test_feed import TOKEN as FEED_TOKEN
from tests.test_relay import Faulty, Pair, lived

START = "/api/v1.1/campaigns/triggers/import_and_start"
ANN, BOB = {"email": "ann@example.com"}, {"email": "bob@example.com"}


async def post(gateway: Conversation, path: str, **parameters: Any) -> str:
    body = {"token": FEED_TOKEN, "db_id": 1, "data": {}, **parameters}
    reply = await gateway.client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["profile_id"])


def test_each_start_has_an_event_with_what_it_starts_although_triggers_are_skipped() -> None:
    async def work(gateway: Conversation) -> None:
        await post(gateway, "/api/v1.1/profiles/import", **ANN, data={"_fname": "Ann"}, skip_triggers=True)
        for order in ("1", "1", "2"):
            await post(gateway, START, **ANN, trigger_id=5, custom_data={"order": order}, skip_triggers=True)
            gateway.now += 1000
        events = await gateway.events(values="true")
        assert [each["data"]["changed"] for each in events] == [["/last_starts"]] * 3
        started = [each["data"]["values"][0]["after"][0] for each in events]
        assert [each["custom_data"]["order"] for each in started] == ["1", "1", "2"]
        assert {each["id"] for each in started} == {5}

    conversed(work)


def test_no_dialect_returns_what_was_started() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.write("u", ANN)
        id = await post(gateway, START, **ANN, trigger_id=5, custom_data={"order": "A-17"})
        reads = [
            ("POST", "/api/v1.1/profiles/get", {"json": {"token": FEED_TOKEN, "db_id": 1, **ANN}}, "Bearer"),
            ("GET", "/profiles/u", {}, "Bearer"),
            ("GET", f"/api/profiles/{id}", {}, "Klaviyo-API-Key"),
        ]
        for method, path, body, scheme in reads:
            headers = {"authorization": f"{scheme} {FEED_TOKEN}", "revision": "2025-10-15"}
            reply = await gateway.client.request(method, path, headers=headers, **body)
            assert reply.status_code == 200, reply.text
            assert "ann@example.com" in reply.text
            assert "A-17" not in reply.text
            assert "last_starts" not in reply.text

    conversed(work)


def test_a_merge_starts_nothing() -> None:
    async def work(gateway: Conversation) -> None:
        await post(gateway, START, **ANN, trigger_id=5)
        id = await post(gateway, "/api/v1.1/profiles/import", **BOB)
        source, destination = {"db_id": 1, **ANN}, {"db_id": 1, **BOB}
        await post(gateway, "/api/v1.1/profiles/merge", source=[source], destination=destination, skip_triggers=True)
        history = (await gateway.get(f"{DATABASE}/profiles/{id}/history")).json()["entries"]
        assert history[-1]["kind"] == "merge"
        assert "last_starts" not in str(history)
        starting = [each for each in await gateway.events() if "/last_starts" in each["data"]["changed"]]
        assert len(starting) == 1

    conversed(work)


def test_a_relay_starts_at_the_vendor_what_each_request_starts_and_nothing_again() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        async def send(path: str, **parameters: Any) -> None:
            reply = await found.near.send(OutgoingRequest("POST", path, {"db_id": 1, **ANN, **parameters}))
            assert reply.status_code == 200, reply.text

        await send(START, trigger_id=5, custom_data={"order": "1"}, data={"_fname": "Ann"})
        await send(START, trigger_id=5, custom_data={"order": "2"}, data={})
        await send("/api/integrations/any/profile_import", trigger_id=6, workflow_id=7)
        await send("/api/v1.1/profiles/update", data={"_fname": "Anna"})
        await found.catch_up()
        assert [each.url.path.removeprefix("/api/v1.1/") for each in network.seen] == [
            *("campaigns/triggers/import_and_start", "campaigns/triggers/import_and_start"),
            *("campaigns/triggers/import_and_start", "workflows/import_and_start", "profiles/update"),
        ]
        first, second, *_ = [each.content.decode() for each in network.seen]
        assert '"order":"1"' in first
        assert '"_fname"' in first
        assert '"order":"2"' in second
        [there] = await found.far.documents()
        assert there["given_name"] == "Anna"
        assert [each["id"] for each in there["last_starts"]] == [7]
        assert there["last_starts"][0]["time"] != NOW

    lived(work, "altcraft", "altcraft")


def test_a_relay_to_another_vendor_leaves_out_what_is_started() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        body = {"db_id": 1, **ANN, "trigger_id": 5, "data": {"_fname": "Ann"}}
        await found.near.send(OutgoingRequest("POST", START, body))
        await found.catch_up()
        assert not await found.dead()
        assert all(b"trigger" not in each.content and b"last_starts" not in each.content for each in network.seen)
        [there] = await found.far.documents()
        assert there["given_name"] == "Ann"

    lived(work, "altcraft", "klaviyo")
    lived(work, "altcraft", "courier")
