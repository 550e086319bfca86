"""Pseudonyms: the file of their key, and the opt-outs that a privacy deletion keeps under them."""

from pathlib import Path
from stat import S_IMODE
from typing import Any

import httpx
import pytest

from gateway.core.model import EditResult, Ledger
from gateway.server.app import create
from gateway.service.bootstrap import bootstrap
from gateway.service.pseudonyms import open_pseudonyms, pseudonym_of
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.errors import Unavailable
from tests.stores import change

pytestmark = pytest.mark.anyio

ADDRESS = "email:ann@example.com"
KLAVIYO = {"authorization": "Klaviyo-API-Key t", "revision": "2025-10-15"}
BODY = {"token": "t", "db_id": 1, "email": "ann@example.com"}


def test_a_pseudonym_depends_on_the_key_and_hides_the_address() -> None:
    name = pseudonym_of(b"1" * 32)(ADDRESS)
    assert name.startswith("email:hmac-sha256:")
    assert "ann" not in name
    assert name == pseudonym_of(b"1" * 32)(ADDRESS)
    assert len({name, pseudonym_of(b"2" * 32)(ADDRESS), pseudonym_of(b"1" * 32)("email:bob@example.com")}) == 3


async def test_the_key_is_created_once_beside_a_sqlite_store(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/g.db", create=True)
    first, second = [await open_pseudonyms(store, None) for _ in range(2)]
    await store.close()
    file = tmp_path / "g.db.secret"
    assert S_IMODE(file.stat().st_mode) == 0o600
    assert first is not None
    assert second is not None
    assert first(ADDRESS) == second(ADDRESS)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["g.db", "g.db.secret"]


async def test_a_store_that_is_no_file_needs_a_named_file(tmp_path: Path) -> None:
    store = await open_store("memory:", create=True)
    assert await open_pseudonyms(store, None) is None
    assert await open_pseudonyms(store, str(tmp_path / "key")) is not None
    assert (tmp_path / "key").exists()


@pytest.mark.parametrize("content", ["", "no key", "ab" * 31])
async def test_a_file_without_a_key_is_rejected(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(Unavailable, match="hexadecimal"):
        await open_pseudonyms(await open_store("memory:", create=True), str(tmp_path / "key"))


async def test_a_missing_key_of_a_store_with_pseudonyms_is_not_replaced(tmp_path: Path) -> None:
    store = await open_store("memory:", create=True)
    await bootstrap(store, Settings(bootstrap_token="t"), 0)
    ledgers: Any = {"email:hmac-sha256:00": Ledger(1)}
    await store.change([change(lambda _find: EditResult(None, ledgers=ledgers))])
    with pytest.raises(Unavailable, match="missing"):
        await open_pseudonyms(store, str(tmp_path / "key"))
    assert not (tmp_path / "key").exists()


async def test_an_address_that_comes_back_after_a_deletion_is_unsubscribed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/g.db"
    store = await open_store(url, create=True)
    await bootstrap(store, Settings(bootstrap_token="t"), 0)
    await store.close()
    app = create(Settings(store=url, access_log=False, rate_limits=0))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.example") as client,
    ):
        await _import(client, status="unsubscribed")
        profile = {"type": "profile", "attributes": {"email": "Ann@example.com"}}
        job = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile}}}}
        assert (await client.post("/api/data-privacy-deletion-jobs", json=job, headers=KLAVIYO)).status_code == 202
        [database] = await app.state.store.databases()
        async with app.state.store.snapshot() as snapshot:
            addresses = [each.address async for each in snapshot.ledgers(database.id)]
            assert addresses
            assert not any("ann" in address for address in addresses)
        await _import(client)
        assert await _status(client) == "unsubscribed"
        await _import(client, status="complained")
        assert await _status(client) == "complained"
        await _import(client, status="subscribed")
        assert await _status(client) == "subscribed"


async def _import(client: httpx.AsyncClient, **members: str) -> None:
    subscription = {"channel": "email", "email": "ann@example.com", **members}
    data = {"email": "ann@example.com", "subscriptions": [subscription]}
    assert (await client.post("/api/v1.1/profiles/import", json={**BODY, "data": data})).status_code == 200


async def _status(client: httpx.AsyncClient) -> Any:
    reply = await client.post("/api/v1.1/profiles/get", json=BODY)
    return reply.json()["data"]["subscriptions"][0].get("status")
