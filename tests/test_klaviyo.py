"""Klaviyo's dialect: its replies by the vendor's own OpenAPI, and behaviour over more than one request."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.apply import apply_update
from gateway.core.faults import Refusal
from gateway.core.model import Profile
from gateway.dialects.klaviyo import dialect, profiles
from gateway.dialects.klaviyo.fields import FIELDS, WRITE_ONLY_FIELDS
from gateway.dialects.klaviyo.jsonapi.filters import FilterCondition, parse_filter
from gateway.dialects.klaviyo.profiles import OPERATORS, parse_creation
from gateway.dialects.klaviyo.replies import render_attributes
from gateway.dialects.protocol import Request
from gateway.server.app import create
from gateway.service.rate_limits import RateLimitExceeded, RateLimits
from gateway.settings import Settings
from gateway.stores import open_store
from tests.cases import HOST, NOW, Case, cases, seed_store, sequential_ids

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
OPENAPI = REFERENCE / "klaviyo-profiles-openapi-2026-07-15.json"
MORE = REFERENCE / "klaviyo-more-openapi.json"
JSON_CASES = [
    case
    for case in cases("klaviyo")
    if case.reply == "json" and case.response and not case.folder.name.startswith("rehearses")
]
RESOURCES_BY_PATH = (
    (r"/api/[^/]+/[^/]+/lists", "ListResponseObjectResource"),
    (r"/api/[^/]+/[^/]+/relationships/[^/]+", "an identifier"),
    (r"/api/(profiles/[^/]+/segments|tags|flows|campaigns|templates)", "nothing"),
    (r"/api/push-tokens/[^/]+/profile", "ProfileResponseObjectResource"),
    (r"/api/(profiles/[^/]+/)?push-tokens(/[^/]+)?", "PushTokenResponseObjectResource"),
    (r"/api/profile-(un)?suppression-bulk-(create|delete)-jobs(/[^/]+)?", "a suppression job"),
)
"""Paths that are not in this OpenAPI, and its names of the resources in their replies."""
OTHER_RESOURCES = {
    "nothing": False,
    "a suppression job": {
        "type": "object",
        "properties": {
            "type": {"enum": ["profile-suppression-bulk-create-job", "profile-suppression-bulk-delete-job"]},
            "id": {"type": "string"},
            "attributes": {
                "type": "object",
                "properties": {
                    "status": {"enum": ["cancelled", "complete", "processing", "queued"]},
                    **{name: {"type": "integer"} for name in ("total_count", "completed_count", "skipped_count")},
                    **{name: {"type": "string", "format": "date-time"} for name in ("created_at", "completed_at")},
                },
                "required": ["status", "created_at", "total_count"],
            },
        },
        "required": ["type", "id", "attributes", "links"],
    },
    "an identifier": {
        "type": "object",
        "properties": {"type": {"type": "string"}, "id": {"type": "string"}},
        "required": ["type", "id"],
        "additionalProperties": False,
    },
}
SERVER = {"authorization": "Klaviyo-API-Key abcdefghijklmnqrstuvwxyz", "revision": "2025-10-15"}


# --- the vendor's OpenAPI ---


def _convert_schema(node: Any) -> Any:
    """Convert a schema of OpenAPI 3.0 to JSON Schema, which has the type null in place of `nullable`."""
    if isinstance(node, list):
        return [_convert_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    inner = {
        key: _convert_schema(value) for key, value in node.items() if key not in ("nullable", "example", "description")
    }
    return {"anyOf": [inner, {"type": "null"}]} if node.get("nullable") is True else inner


@cache
def _vendors_document() -> dict[str, Any]:
    """Return the vendor's OpenAPI of both extracts, which are of one revision."""
    more, document = json.loads(MORE.read_text()), json.loads(OPENAPI.read_text())
    schemas = {**more["components"]["schemas"], **document["components"]["schemas"]}
    return {
        **document,
        "paths": {**more["paths"], **document["paths"]},
        "components": {**document["components"], "schemas": schemas},
    }


def _operation(document: dict[str, Any], case: Case) -> dict[str, Any]:
    path = case.about["path"].partition("?")[0].rstrip("/")
    patterns = {known: re.sub(r"\{\w+\}", "[^/]+", known) for known in document["paths"]}
    found = [known for known, pattern in patterns.items() if re.fullmatch(pattern, path)]
    return document["paths"][found[0]].get(case.about["method"].lower(), {}) if found else {}


def _reply_schema(document: dict[str, Any], case: Case) -> dict[str, Any]:
    """Return the vendor's schema of the reply."""
    status = case.about["status"]
    if status >= 400:
        response = document["components"]["responses"]["ClientError" if status < 500 else "ServerError"]
    elif named := _resource_name(case):
        resource = OTHER_RESOURCES.get(named, {"$ref": f"#/components/schemas/{named}"})
        data = {"anyOf": [{"type": "array", "items": resource}, resource]}
        return {"type": "object", "properties": {"data": data}, "required": ["data", "links"]}
    else:
        response = _operation(document, case)["responses"][str(status)]
    return response["content"]["application/vnd.api+json"]["schema"]


def _resource_name(case: Case) -> str | None:
    path = case.about["path"].partition("?")[0]
    return next((named for pattern, named in RESOURCES_BY_PATH if re.fullmatch(pattern, path)), None)


@pytest.mark.skipif(not OPENAPI.exists(), reason="the vendor's OpenAPI is not part of the repository")
@pytest.mark.parametrize("case", JSON_CASES, ids=lambda case: case.name)
def test_the_reply_is_valid_by_the_vendors_openapi(case: Case) -> None:
    document = _vendors_document()
    schema = {**_convert_schema(_reply_schema(document, case)), "components": _convert_schema(document["components"])}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in validator.iter_errors(json.loads(case.response))] == []


@pytest.mark.skipif(not OPENAPI.exists(), reason="the vendor's OpenAPI is not part of the repository")
def test_the_table_has_every_attribute_of_the_vendor() -> None:
    schemas = json.loads(OPENAPI.read_text())["components"]["schemas"]
    attributes = schemas["OnsiteProfileCreateQueryResourceObject"]["properties"]["attributes"]["properties"]
    location = {f"location.{name}" for name in schemas["ProfileLocation"]["properties"]}
    assert set(FIELDS) == attributes.keys() - {"location"} | location


# --- the table of fields ---

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
READABLE = [name for name in FIELDS if name not in (*WRITE_ONLY_FIELDS, "properties")]


@given(st.dictionaries(st.sampled_from(READABLE), texts, min_size=1))
def test_a_created_profile_is_returned_value_for_value(values: dict[str, str]) -> None:
    attributes: dict[str, Any] = {"email": "ann@example.com", "location": {}}
    for name, value in values.items():
        target, member = (attributes["location"], name[9:]) if name.startswith("location.") else (attributes, name)
        target[member] = value
    document = _apply_creation({"data": {"type": "profile", "attributes": attributes}})
    read = render_attributes(Profile("1", document, 1, 0, 0))
    assert {name: read[name] for name in attributes if name != "location"} | {"location": attributes["location"]} == {
        **attributes,
        "location": {name: read["location"][name] for name in attributes["location"]},
    }


def _apply_creation(tree: dict[str, Any]) -> dict[str, Any]:
    [read] = parse_creation(Request(tree, target="/api/profiles")).commands
    assert read.update is not None
    assert not read.faults
    document, faults = apply_update({}, read.update)
    assert not faults
    return document


# --- filters ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('equals(email,"a@example.com")', [("equals", "email", ("a@example.com",))]),
        ("equals( email , 'a\\'b' )", [("equals", "email", ("a'b",))]),
        ('any(id,["1","2"])', [("any", "id", ("1", "2"))]),
        ("any(id,[])", [("any", "id", ())]),
        ("less-than(updated,2025-01-01T00:00:00+00:00)", [("less-than", "updated", ("2025-01-01T00:00:00+00:00",))]),
        ("equals(id,a),and(equals(id,b),equals(id,c))", [("equals", "id", (each,)) for each in "abc"]),
        ('equals(email,"),(")', [("equals", "email", ("),(",))]),
    ],
)
def test_parses_a_filter(text: str, expected: list[Any]) -> None:
    assert parse_filter(text, OPERATORS) == [FilterCondition(*each) for each in expected]


@example("and(" * 5000)
@given(st.text("equalsand(),[]'\"\\ id", max_size=30))
def test_a_filter_is_parsed_or_rejected(text: str) -> None:
    assert fault_pointer(lambda: parse_filter(text, OPERATORS)) in (None, "/parameter/filter")


@given(st.text(max_size=30) | st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")))
@example("http://[")
@example(urlsafe_b64encode(b"[" * 20_000).decode())
@example(urlsafe_b64encode(rb'["next","id","\ud800","1"]').decode())
def test_a_cursor_is_parsed_or_rejected(text: str) -> None:
    target = str(httpx.URL("http://x/api/profiles", params={"page[cursor]": text}).raw_path, "ascii")
    refused = fault_pointer(lambda: profiles.parse_list(Request({}, target=target)))
    assert refused in (None, "/parameter/page[cursor]")


def fault_pointer(act: Callable[[], object]) -> str | None:
    try:
        act()
    except Refusal as refusal:
        return refusal.faults[0].pointer
    return None


# --- conversations of more than one request ---


@asynccontextmanager
async def gateway(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in this process with an empty store in memory."""
    store, numbers = await open_store("memory:", create=True), sequential_ids()
    await seed_store(store, Case(Path("/nowhere"), "json", {}))

    async def opened(_url: str) -> Any:
        return store

    app = create(Settings(**settings), now=lambda: NOW, new_id=lambda: next(numbers), open_store=opened)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=SERVER) as client:
            yield client


def run_exchange(exchange: Callable[[httpx.AsyncClient], Any], **settings: Any) -> None:
    async def run() -> None:
        async with gateway(**settings) as client:
            await exchange(client)

    asyncio.run(run())


def profile(**attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "profile", "attributes": attributes}}


def test_links_lead_through_every_page_and_back() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        for number in range(7):
            await client.post("/api/profiles", json=profile(email=f"{number}@example.com"))
        there = await follow_links(client, "/api/profiles?sort=-email&page[size]=3", "next")
        assert [mail for page in there for mail in page["mails"]] == [
            f"{number}@example.com" for number in range(6, -1, -1)
        ]
        back = await follow_links(client, there[-1]["self"], "prev")
        assert [page["mails"] for page in back] == [page["mails"] for page in reversed(there)]

    run_exchange(exchange)


def test_a_value_that_is_no_string_is_rejected_as_a_name() -> None:
    """In Python, `True` would otherwise become a list id."""

    async def exchange(client: httpx.AsyncClient) -> None:
        made = (await client.post("/api/profiles", json=profile(email="ann@example.com"))).json()["data"]
        list_of = {"data": [{"type": "list", "id": True}]}
        job = {"profiles": {"data": [profile(email="ann@example.com")["data"]]}}
        sources = {"data": [{"type": "profile", "id": {"a": None}}]}
        meta = {"patch_properties": {"unset": [True]}}
        for method, path, data, pointer in (
            (
                "POST",
                "/api/profile-bulk-import-jobs",
                {"type": "profile-bulk-import-job", "attributes": job, "relationships": {"lists": list_of}},
                "/data/relationships/lists/data/0/id",
            ),
            (
                "POST",
                "/api/profile-merge",
                {"type": "profile-merge", "id": made["id"], "relationships": {"profiles": sources}},
                "/data/relationships/profiles/data/0/id",
            ),
            (
                "PATCH",
                f"/api/profiles/{made['id']}",
                {"type": "profile", "id": made["id"], "attributes": {}, "meta": meta},
                "/data/meta/patch_properties/unset",
            ),
        ):
            reply = await client.request(method, path, json={"data": data})
            assert reply.status_code == 400
            assert reply.json()["errors"][0]["source"] == {"pointer": pointer}

    run_exchange(exchange)


def test_the_same_idempotency_key_with_another_request_is_a_conflict() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        for mail, status in (("ann@example.com", 201), ("bob@example.com", 409)):
            reply = await client.post("/api/profiles", json=profile(email=mail), headers={"idempotency-key": "1"})
            assert reply.status_code == status
        assert reply.json()["errors"][0]["code"] == "conflict"

    run_exchange(exchange)


def test_a_repeated_request_returns_the_same_job() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        key = {"idempotency-key": "1"}
        job = import_job(profile(email="ann@example.com"), profile(email="nobody"))
        first, again = [await client.post("/api/profile-bulk-import-jobs", json=job, headers=key) for _ in range(2)]
        assert (first.status_code, first.content) == (again.status_code, again.content)
        other = await client.post(
            "/api/profile-bulk-import-jobs", json=import_job(profile(email="b@x.io")), headers=key
        )
        assert (other.status_code, other.json()["errors"][0]["code"]) == (409, "conflict")
        assert len((await client.get("/api/profile-bulk-import-jobs")).json()["data"]) == 1
        assert len((await client.get("/api/profiles")).json()["data"]) == 1

    run_exchange(exchange)


def import_job(*profiles: dict[str, Any]) -> dict[str, Any]:
    attributes = {"profiles": {"data": [each["data"] for each in profiles]}}
    return {"data": {"type": "profile-bulk-import-job", "attributes": attributes}}


def test_a_browser_that_matches_two_profiles_changes_one_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        for attributes in ({"email": "ann@example.com"}, {"phone_number": "+12025550123"}):
            await client.post("/api/profiles", json=profile(**attributes))
        both = profile(email="ann@example.com", phone_number="+12025550123", first_name="Ann")
        assert (await client.post("/client/profiles?company_id=demo", json=both)).status_code == 202
        found = (await client.get("/api/profiles?sort=created")).json()["data"]
        values_by_profile = [
            [each["attributes"][name] for name in ("email", "phone_number", "first_name")] for each in found
        ]
        assert values_by_profile == [["ann@example.com", None, "Ann"], [None, "+12025550123", None]]

    run_exchange(exchange)
    [line] = [record.getMessage() for record in caplog.records if record.name == "gateway"]
    assert "several profiles" in line
    assert not any(value in line for value in ("ann", "Ann", "2025550123"))


async def follow_links(client: httpx.AsyncClient, link: str | None, direction: str) -> list[dict[str, Any]]:
    pages = []
    while link:
        body = (await client.get(link)).json()
        pages.append({"self": link, "mails": [each["attributes"]["email"] for each in body["data"]]})
        link = body["links"].get(direction)
    return pages


def test_a_job_is_returned_afterwards() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        profiles = [profile(email=mail)["data"] for mail in ("ann@example.com", "nobody")]
        data = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}
        made = (await client.post("/api/profile-bulk-import-jobs", json={"data": data})).json()["data"]
        link = made["links"]["self"]
        assert (await client.get(link)).json()["data"] == made
        [error] = (await client.get(f"{link}/import-errors")).json()["data"]
        assert error["attributes"]["original_payload"] == profiles[1]
        assert error["attributes"]["source"] == {"pointer": "/data/attributes/profiles/data/1/attributes/email"}
        [kept] = (await client.get(f"{link}/profiles")).json()["data"]
        assert kept["attributes"]["email"] == "ann@example.com"

    run_exchange(exchange)


def test_a_duplicate_profile_has_the_id_of_the_first_in_its_error() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        first = (await client.post("/api/profiles", json=profile(email="ann@example.com"))).json()
        second = await client.post("/api/profiles", json=profile(email="ANN@example.com"))
        assert second.status_code == 409
        assert second.json()["errors"][0]["meta"]["duplicate_profile_id"] == first["data"]["id"]

    run_exchange(exchange)


def test_a_merged_profile_is_found_by_the_identifiers_of_its_sources() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        ann, bob = [
            (await client.post("/api/profiles", json=profile(**each))).json()["data"]["id"]
            for each in ({"email": "ann@example.com"}, {"phone_number": "+12025550123"})
        ]
        sources = {"profiles": {"data": [{"type": "profile", "id": bob}]}}
        merge = {"data": {"type": "profile-merge", "id": ann, "relationships": sources}}
        assert (await client.post("/api/profile-merge", json=merge)).status_code == 201
        again = await client.post("/api/profile-import", json=profile(phone_number="+12025550123", title="Dr"))
        assert (again.status_code, again.json()["data"]["id"]) == (200, ann)
        assert (await client.get(f"/api/profiles/{bob}")).json()["data"]["id"] == ann

    run_exchange(exchange)


@pytest.mark.parametrize("path", ["/client/profiles", "/client/profiles/?company_id=demo"])
def test_a_browser_may_send_a_preflight_request(path: str) -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,revision"}
        reply = await client.options(path, headers={"origin": "https://shop.example", **asked})
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "POST" in reply.headers["access-control-allow-methods"]
        allowed = reply.headers["access-control-allow-headers"].replace(" ", "").split(",")
        assert {"content-type", "revision"} <= set(allowed)

    run_exchange(exchange)


def test_a_page_may_read_the_error_of_its_request() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        origin = {"origin": "https://shop.example"}
        reply = await client.post("/client/profiles?company_id=demo", json=profile(), headers=origin)
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (400, "*")
        other = await client.post("/api/profiles", json=profile(email="ann@example.com"), headers=origin)
        assert "access-control-allow-origin" not in other.headers

    run_exchange(exchange)


# --- rates ---


def test_the_fourth_deletion_in_a_second_is_rejected() -> None:
    async def exchange(client: httpx.AsyncClient) -> None:
        nobody = {"type": "profile", "attributes": {"email": "nobody@example.com"}}
        job = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": nobody}}}}
        replies = [await client.post("/api/data-privacy-deletion-jobs", json=job) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [202, 202, 202, 429]
        assert [reply.headers.get("ratelimit-remaining") for reply in replies] == ["2", "1", "0", None]
        assert replies[0].headers["ratelimit-limit"] == "3, 3;w=1, 60;w=60"
        assert replies[3].headers["retry-after"] == "1"
        assert replies[3].json()["errors"][0]["code"] == "throttled"
        assert (await client.get("/api/profiles")).status_code == 200

    run_exchange(exchange)


def test_a_factor_of_zero_turns_rates_off() -> None:
    rates = RateLimits(0)
    assert [rates.spend(["1/minute"], "key") for _ in range(3)] == [{}, {}, {}]


def test_a_factor_multiplies_the_rates() -> None:
    rates = RateLimits(2)
    left = [rates.spend(["1/minute", "9/minute"], "key")["ratelimit-remaining"] for _ in range(2)]
    assert left == ["1", "0"]
    with pytest.raises(RateLimitExceeded) as refused:
        rates.spend(["1/minute", "9/minute"], "key")
    assert 1 <= refused.value.pause <= 60
    assert rates.spend(["1/minute"], "another key")


def test_every_call_has_the_vendors_rates() -> None:
    rates = {f"{call.method} {call.path}": len(call.rates) for call in dialect({}).calls}
    assert rates.pop("POST /api/lists") == 3  # a burst, a minute and a day
    assert set(rates.values()) == {2}


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_an_unknown_name_is_refused_whatever_its_value(value: Any) -> None:
    profile_of_zz = {"profile": profile(email="ann@example.com", zz=value)}
    event = {"properties": {}, "metric": {"data": {"type": "metric", "attributes": {"name": "Viewed"}}}}
    batch = {**profile_of_zz, "events": {"data": [{"type": "event", "attributes": event}]}}
    batches = {"events-bulk-create": {"data": [{"type": "event-bulk-create", "attributes": batch}]}}
    token = {"token": "t-1", "platform": "ios", "vendor": "apns", "device_metadata": {"zz": value}}
    token["profile"] = profile(email="ann@example.com")
    patches = {"patch_identifiers": {"append": {"zz": value}}}

    async def exchange(client: httpx.AsyncClient) -> None:
        for path, type, attributes, meta, pointer in (
            ("events", "event", {**event, **profile_of_zz}, {}, "/profile/data/attributes/zz"),
            (
                "event-bulk-create-jobs",
                "event-bulk-create-job",
                batches,
                {},
                "/events-bulk-create/data/0/attributes/profile/data/attributes/zz",
            ),
            ("push-tokens", "push-token", token, {}, "/device_metadata/zz"),
            ("profile-import", "profile", {"email": "ann@example.com", "zz": value}, {}, "/zz"),
            ("profile-import", "profile", {"email": "ann@example.com", "location": {"zz": value}}, {}, "/location/zz"),
            ("profile-import", "profile", {"email": "ann@example.com"}, patches, "/data/meta/patch_identifiers"),
        ):
            data = {"type": type, "attributes": attributes, "meta": meta}
            reply = await client.post(f"/api/{path}", json={"data": data})
            assert reply.status_code == 400
            whole = pointer if pointer.startswith("/data") and meta else f"/data/attributes{pointer}"
            assert [each["source"] for each in reply.json()["errors"]] == [{"pointer": whole}]
        for attributes in ({"zz": value}, {"location": {"zz": value}}):
            job = {"profiles": {"data": [profile(email="ann@example.com", **attributes)["data"]]}}
            data = {"type": "profile-bulk-import-job", "attributes": job}
            reply = await client.post("/api/profile-bulk-import-jobs", json={"data": data})
            assert reply.json()["data"]["attributes"]["failed_count"] == 1

    run_exchange(exchange)
