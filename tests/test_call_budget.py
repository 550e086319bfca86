"""The call budget: how many Python functions of the gateway one request calls, and how often it enters a room.

Counts do not depend on the machine's speed. A row that exceeds its budget names the functions that are called most. A
resumed coroutine, a step of a generator and a comprehension of CPython 3.11 are calls too.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from msgspec import Struct

from gateway.server import app
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from tests.cases import FIXTURES

ROOMS = str(Path(app.__file__).parents[1]) + "/"
TOKEN = "token-of-the-call-budget"
WARM_UP = 20
"""Requests before the counted ones: they fill every cache that the shape uses."""

COUNTED = 10
"""Requests that are counted. The least counts: a timer of the server may fall into the others."""

SUBSCRIPTION = {"resource_id": 1, "channel": "email", "email": "ann@example.com", "status": "subscribed"}
DATA = {
    "email": "ann@example.com",
    "phones": ["+79511059000"],
    "_fname": "Ann{}",
    "_lname": "Lee",
    "_city": "Perm",
    "visits": 3,
    "subscriptions": [SUBSCRIPTION],
}
FUNCTIONS = {"visits": {"action": "incr", "value": 1}, "tags": {"action": "add", "value": ["t{}"]}}
XML_DATA = """<email>ann@example.com</email><phones array='true'>+79511059000</phones><_fname>Ann{}</_fname>
<_lname>Lee</_lname><_city>Perm</_city><subscriptions array='true'><resource_id>1</resource_id>
<channel>email</channel><email>ann@example.com</email><status>subscribed</status></subscriptions>"""
KLAVIYO = {"data": {"type": "profile", "attributes": {"email": "kay@example.com", "first_name": "Kay{}"}}}
JSON, XML, API = "application/json", "application/xml", "/api/v1.1/profiles"


class Shape(Struct, frozen=True):
    """A kind of request and its budget. `{}` in the body is replaced by a new number each time."""

    calls: int
    rooms: int
    path: str
    body: str = ""
    content_type: str = JSON
    method: str = "POST"
    headers: Mapping[str, str] = {}


def altcraft(data: Mapping[str, Any], **members: Any) -> str:
    """Return the JSON body of an update of Altcraft's."""
    body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": "ann@example.com", **members, "data": data}
    return json.dumps(body)


def altcraft_xml(data: str) -> str:
    """Return the XML body of an update of Altcraft's."""
    members = f"<token>{TOKEN}</token><db_id>1</db_id><matching>email</matching><email>ann@example.com</email>"
    return f"<xml>{members}<data>{data}</data></xml>"


def seed(media: str) -> str:
    """Return the body of the seed in a media type, with this test's token."""
    text = (FIXTURES / "altcraft" / f"updates-by-the-seeds-{media}-body" / f"request.{media}").read_text()
    return text.replace("abcdefghijklmnqrstuvwxyz", TOKEN).replace("Lambert", "L{}").replace("LastName", "L{}")


BEARER = {"authorization": f"Bearer {TOKEN}"}
KLAVIYO_KEY = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2026-07-15"}

SHAPES = {
    "JSON update": Shape(80, 18, f"{API}/update/", altcraft(DATA)),
    "XML update": Shape(110, 20, f"{API}/update/", altcraft_xml(XML_DATA), XML),
    "JSON update of the seed": Shape(125, 18, f"{API}/update/", seed("json")),
    "XML update of the seed": Shape(118, 20, f"{API}/update/", seed("xml"), XML),
    "JSON update of the phone": Shape(120, 19, f"{API}/update/", altcraft({"phones": ["+7951105{:04}"]})),
    "JSON creation": Shape(107, 19, f"{API}/import/", altcraft({"email": "p{}@example.com"}, email="p{}@example.com")),
    "JSON functions": Shape(126, 20, f"{API}/update/", altcraft(FUNCTIONS)),
    "JSON read": Shape(85, 20, f"{API}/get/", altcraft({})),
    "Courier POST": Shape(81, 17, "/profiles/cora", '{"profile": {"given_name": "Cora{}"}}', headers=BEARER),
    "Courier GET": Shape(64, 14, "/profiles/cora", method="GET", headers=BEARER),
    "Klaviyo import": Shape(100, 17, "/api/profile-import/", json.dumps(KLAVIYO), headers=KLAVIYO_KEY),
    "Klaviyo client": Shape(110, 16, "/client/profiles?company_id=demo", json.dumps(KLAVIYO), headers=KLAVIYO_KEY),
}
"""Each shape with the greatest number of calls and of entered rooms."""


SET_UP = (
    Shape(0, 0, f"{API}/import/", altcraft(DATA)),
    Shape(0, 0, f"{API}/import/", seed("json")),
    SHAPES["Courier POST"],
)
"""The requests that create the profiles of the shapes."""


OF_MANY_REQUESTS = ("server: AccessLog._enqueue",)
"""What a timer calls once for many requests. On a busy machine it falls into each counted one."""


class CallCounter:
    """Counts calls of the gateway's functions on this thread while it is active (`sys.setprofile`).

    A room is entered by a call whose nearest caller of ours is in another room, or which has none. A coroutine that is
    resumed enters no room again.
    """

    def __init__(self) -> None:
        self.functions: Counter[str] = Counter()
        self.entries: list[str] = []
        self._started: set[FrameType] = set()

    def __enter__(self) -> "CallCounter":
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or (room := _room_of(frame)) is None:
            return
        name = f"{room}: {frame.f_code.co_qualname}"
        if name in OF_MANY_REQUESTS:
            return
        self.functions[name] += 1
        if frame in self._started:
            return
        self._started.add(frame)
        caller = frame.f_back
        while caller and _room_of(caller) is None:
            caller = caller.f_back
        if caller is None or _room_of(caller) != room:
            self.entries.append(name)


def _room_of(frame: FrameType) -> str | None:
    file = frame.f_code.co_filename
    return file.removeprefix(ROOMS).partition("/")[0] if file.startswith(ROOMS) else None


async def send(application: Any, state: Mapping[str, Any], shape: Shape, number: int) -> int:
    """Send one request in process. Return the status."""
    path, _, query = shape.path.partition("?")
    body = shape.body.replace("{:04}", f"{number:04}").replace("{}", str(number)).encode()
    headers = {"host": "localhost", "content-type": shape.content_type, "user-agent": "test", **shape.headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": shape.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "state": dict(state),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def record(event: Any) -> None:
        sent.append(event)

    await application(scope, receive, record)
    return int(sent[0]["status"])


@asynccontextmanager
async def serving(folder: Path, **environment: str) -> AsyncIterator[tuple[Any, Mapping[str, Any]]]:
    """Start an application with the profiles of the shapes. Yield it, and the state of its scopes."""
    settings = Settings.from_environment(
        {
            "GATEWAY_STORE": f"sqlite:///{folder}/profiles.db",
            "GATEWAY_BOOTSTRAP_TOKEN": TOKEN,
            "GATEWAY_SECRET_FILE": f"{folder}/secret",
            **environment,
        }
    )
    store = await open_store(settings.store, create=True)
    await bootstrap(store, settings, 1)
    await store.close()
    application = app.create(settings)
    async with application.router.lifespan_context(application) as state:
        for first in SET_UP:
            assert await send(application, state or {}, first, 0) == 200
        yield application, state or {}


async def count(shape: Shape, folder: Path, **environment: str) -> CallCounter:
    """Return the calls of one request of a shape, after others of the same shape."""
    async with serving(folder, **environment) as (application, state):
        for number in range(WARM_UP):
            assert await send(application, state, shape, number) < 300, shape
        counters = [CallCounter() for _ in range(COUNTED)]
        for number, counter in enumerate(counters, WARM_UP):
            with counter:
                await send(application, state, shape, number)
    return min(counters, key=lambda each: each.functions.total())


@pytest.mark.parametrize("name", SHAPES)
def test_a_request_stays_within_its_call_budget(name: str, tmp_path: Path) -> None:
    shape = SHAPES[name]
    counter = asyncio.run(count(shape, tmp_path))
    total, most = counter.functions.total(), counter.functions.most_common(15)
    assert total <= shape.calls, f"{total} calls; most often {most}"
    assert len(counter.entries) <= shape.rooms, f"{len(counter.entries)} entries: {counter.entries}"


def test_the_console_costs_no_call(tmp_path: Path) -> None:
    shape = next(iter(SHAPES.values()))
    (tmp_path / "on").mkdir()
    off, on = (asyncio.run(count(shape, tmp_path / folder, **extra)) for folder, extra in CONSOLE.items())
    assert (on.functions.total(), len(on.entries)) == (off.functions.total(), len(off.entries))


def test_kept_refused_requests_cost_no_call(tmp_path: Path) -> None:
    shape = next(iter(SHAPES.values()))
    (tmp_path / "on").mkdir()
    off = asyncio.run(count(shape, tmp_path))
    on = asyncio.run(count(shape, tmp_path / "on", GATEWAY_KEEP_REFUSED_DAYS="3"))
    assert (on.functions.total(), len(on.entries)) == (off.functions.total(), len(off.entries))


CONSOLE: Mapping[str, Mapping[str, str]] = {"": {}, "on": {"GATEWAY_CONSOLE": "true"}}
"""By folder, the settings of a gateway without a console and with one."""


# --- the walk that docs/architecture.md describes ---

WALK = (FIXTURES.parent / "docs" / "architecture.md").read_text().partition("### The walk of one update")[2]
ENTRIES = re.findall(r"^\| `(\w+)`( \(XML\))? \| `(\S+)` \|", WALK, flags=re.MULTILINE)
"""The rows of its first table: the room, whether JSON omits it, and the function."""

TOTALS = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", WALK, flags=re.MULTILINE)
"""The rows of its second table: how often JSON and XML enter a room."""


@pytest.mark.parametrize("media", ["JSON", "XML"])
def test_the_documented_walk_of_an_update_is_its_trace(media: str, tmp_path: Path) -> None:
    counter = asyncio.run(count(SHAPES[f"{media} update"], tmp_path))
    assert counter.entries == [f"{room}: {name}" for room, only, name in ENTRIES if media == "XML" or not only]
    totals = {room: int(xml if media == "XML" else json) for room, json, xml in TOTALS}
    assert Counter(entry.partition(":")[0] for entry in counter.entries) == totals
