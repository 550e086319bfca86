"""Every profile method of an official Klaviyo SDK for Python, unchanged, against a running gateway.

klaviyo.py creates an environment with one generation of `klaviyo-api` (2.x or 25.x) and runs this program in it. The
program checks what a method returns and what it has changed, and prints the names of the methods that passed.
"""

import json
import os
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from klaviyo_api import KlaviyoAPI

HOST, KEY, COMPANY = (os.environ[f"KLAVIYO_{name}"] for name in ("URL", "KEY", "COMPANY"))
API = KlaviyoAPI(KEY, max_delay=5, max_retries=2, test_host=HOST)
IS_OLD = not hasattr(API.Profiles, "create_or_update_profile")
MARK = uuid4().hex[:12]

OTHER_RIGHT = "`conversations:read`"
"""The right in the documentation of methods of another API, some of which are in the class of profiles."""

done: list[str] = []


def call(api: Any, name: str, *given: Any, **named: Any) -> Any:
    """Call a method and return its result as plain data."""
    answer = getattr(api, name)(*given, **named)
    done.append(name)
    return plain(answer)


def plain(answer: Any) -> Any:
    """Return a model of the newer generation as data. The older generation returns data."""
    return answer.to_dict() if hasattr(answer, "to_dict") else answer


def expect_error(status: int, act: Callable[[], object]) -> dict[str, Any]:
    """Return the first error of a call that must fail with this status."""
    error = failure_of(act)
    assert getattr(error, "status", None) == status, repr(error)
    found: dict[str, Any] = json.loads(getattr(error, "body", "{}"))["errors"][0]
    return found


def failure_of(act: Callable[[], object]) -> Exception | None:
    try:
        act()
    except Exception as error:
        return error
    return None


def body(type: str, attributes: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"data": {"type": type, "attributes": attributes, **members}}


def mail(name: str) -> str:
    return f"{name}.{MARK}@example.com"


def profiles() -> str:
    """Create, find, list and update a profile. Return its id."""
    # The older generation itself rejects a coordinate, both as text and as a number.
    coordinates = {} if IS_OLD else {"latitude": "42.3601", "longitude": 71.0589}
    location = {"city": "Boston", **coordinates}
    attributes = {"email": mail("ann"), "first_name": "Ann", "location": location, "properties": {"plan": "gold"}}
    created = call(API.Profiles, "create_profile", body("profile", attributes))
    id = str(created["data"]["id"])
    assert location.items() <= created["data"]["attributes"]["location"].items()
    assert created["data"]["attributes"]["properties"] == {"plan": "gold"}
    error = expect_error(409, lambda: API.Profiles.create_profile(body("profile", {"email": mail("ANN")})))
    assert error["meta"]["duplicate_profile_id"] == id

    changes = body("profile", {"last_name": "Stone", "properties": {"plan": "pro"}}, id=id)
    updated = call(API.Profiles, "update_profile", id, changes)
    assert updated["data"]["attributes"]["last_name"] == "Stone"
    found = call(API.Profiles, "get_profile", id)
    assert found["data"]["attributes"]["properties"] == {"plan": "pro"}
    sparse = call(API.Profiles, "get_profile", id, fields_profile=["email", "last_name"])
    assert {name for name, value in sparse["data"]["attributes"].items() if value} == {"email", "last_name"}
    more = call(API.Profiles, "get_profile", id, additional_fields_profile=["predictive_analytics"])
    assert more["data"]["id"] == id
    assert expect_error(404, lambda: API.Profiles.get_profile("nobody"))["code"] == "not_found"
    return id


def listing(id: str) -> None:
    """Filter, sort, and follow the links of pages unchanged."""
    filtered = call(API.Profiles, "get_profiles", filter=f'equals(email,"{mail("ann")}")')
    assert [each["id"] for each in filtered["data"]] == [id]
    named = call(API.Profiles, "get_profiles", filter=f'any(id,["{id}"]),greater-than(created,2020-01-01T00:00:00Z)')
    assert [each["id"] for each in named["data"]] == [id]
    seen: list[str] = []
    page = call(API.Profiles, "get_profiles", page_size=2, sort="-created", fields_profile=["email", "created"])
    while True:
        seen += [each["id"] for each in page["data"]]
        if not page["links"].get("next"):
            break
        page = call(API.Profiles, "get_profiles", page_size=2, sort="-created", page_cursor=page["links"]["next"])
    assert id in seen
    assert len(seen) == len(set(seen))


def related(id: str, *names: str) -> None:
    for name in names:
        if hasattr(API.Profiles, name):
            assert isinstance(call(API.Profiles, name, id)["data"], list)


def imports(id: str) -> None:
    """Update or create a profile by each of its identifiers."""
    answer = call(API.Profiles, "create_or_update_profile", body("profile", {"email": mail("ann"), "title": "Dr"}))
    assert (answer["data"]["id"], answer["data"]["attributes"]["title"]) == (id, "Dr")
    patch = {"patch_properties": {"append": {"skus": "1"}}}
    API.Profiles.create_or_update_profile(body("profile", {"email": mail("ann")}, meta=patch))
    assert plain(API.Profiles.get_profile(id))["data"]["attributes"]["properties"] == {"plan": "pro", "skus": ["1"]}


def jobs() -> None:
    """A bulk import, its job, errors and profiles."""
    rows = [body("profile", {"email": mail(name)})["data"] for name in ("bulk.one", "bulk.two")]
    broken = body("profile", {"email": "nobody"})["data"]
    job = body("profile-bulk-import-job", {"profiles": {"data": [*rows, broken]}})
    made = call(API.Profiles, "bulk_import_profiles", job)["data"]
    counts = made["attributes"]
    assert (counts["total_count"], counts["completed_count"], counts["failed_count"]) == (3, 2, 1)
    assert call(API.Profiles, "get_bulk_import_profiles_job", made["id"])["data"]["attributes"]["status"] == "complete"
    listed = call(API.Profiles, "get_bulk_import_profiles_jobs", filter='equals(status,"complete")', page_size=5)
    assert made["id"] in [each["id"] for each in listed["data"]]
    [error] = call(API.Profiles, "get_errors_for_bulk_import_profiles_job", made["id"])["data"]
    assert error["attributes"]["original_payload"]["attributes"]["email"] == "nobody"
    kept = call(API.Profiles, "get_profiles_for_bulk_import_profiles_job", made["id"])["data"]
    ids = call(API.Profiles, "get_profile_ids_for_bulk_import_profiles_job", made["id"])["data"]
    assert [each["id"] for each in kept] == sorted(each["id"] for each in ids)
    assert call(API.Profiles, "get_list_for_bulk_import_profiles_job", made["id"])["data"] == []
    assert call(API.Profiles, "get_list_ids_for_bulk_import_profiles_job", made["id"])["data"] == []


def consent() -> None:
    """Subscribe, unsubscribe, suppress and unsuppress a profile."""
    subscribed = {"subscriptions": {"email": {"marketing": {"consent": "SUBSCRIBED"}}}}
    left = {"subscriptions": {"email": {"marketing": {"consent": "UNSUBSCRIBED"}}}}
    person = {"type": "profile", "attributes": {"email": mail("consent")}}
    for name, kind, members, expected in (
        ("bulk_subscribe_profiles", "create", subscribed, "SUBSCRIBED"),
        ("bulk_unsubscribe_profiles", "delete", left, "UNSUBSCRIBED"),
    ):
        profile = {"type": "profile", "attributes": {"email": mail("consent"), **members}}
        call(API.Profiles, name, body(f"profile-subscription-bulk-{kind}-job", {"profiles": {"data": [profile]}}))
        found = plain(API.Profiles.get_profiles(additional_fields_profile=["subscriptions"], filter=whose("consent")))
        assert found["data"][0]["attributes"]["subscriptions"]["email"]["marketing"]["consent"] == expected
    for verb, kind in (("suppress", "create"), ("unsuppress", "delete")):
        job = body(f"profile-suppression-bulk-{kind}-job", {"profiles": {"data": [person]}})
        made = call(API.Profiles, f"bulk_{verb}_profiles", job)["data"]
        assert made["attributes"]["completed_count"] == 1
        assert call(API.Profiles, f"get_bulk_{verb}_profiles_job", made["id"])["data"]["id"] == made["id"]
        assert made["id"] in [each["id"] for each in call(API.Profiles, f"get_bulk_{verb}_profiles_jobs")["data"]]


def old_consent() -> None:
    """The same by the names of 2023."""
    subscription = {"channels": {"email": ["MARKETING"]}, "email": mail("consent")}
    job = body("profile-subscription-bulk-create-job", {"subscriptions": [subscription], "list_id": "Y6nRLr"})
    call(API.Profiles, "subscribe_profiles", job)
    addresses = {"emails": [mail("consent")], "list_id": "Y6nRLr"}
    call(API.Profiles, "unsubscribe_profiles", body("profile-unsubscription-bulk-create-job", addresses))
    for name in ("suppress", "unsuppress"):
        job = body(f"profile-{name}ion-bulk-create-job", {"suppressions": [{"email": mail("consent")}]})
        call(API.Profiles, f"{name}_profiles", job)
    assert len(plain(API.Profiles.get_profiles(filter=whose("consent")))["data"]) == 1


def push(id: str) -> None:
    """Register a push token, find it by every method, and remove it."""
    profile = {"data": {"type": "profile", "id": id, "attributes": {}}}
    device = {"os_name": "ios", "app_id": "com.example.shop"}
    attributes = {"token": f"token-{MARK}", "platform": "ios", "vendor": "apns", "device_metadata": device}
    assert not call(API.Profiles, "create_push_token", body("push-token", {**attributes, "profile": profile}))
    [token] = call(API.Profiles, "get_push_tokens_for_profile", id)["data"]
    assert token["attributes"]["token"] == f"token-{MARK}"
    assert token["attributes"]["metadata"]["app_id"] == "com.example.shop"
    assert [each["id"] for each in call(API.Profiles, "get_push_token_ids_for_profile", id)["data"]] == [token["id"]]
    listed = call(API.Profiles, "get_push_tokens", filter=f'equals(profile.id,"{id}")')["data"]
    assert [each["id"] for each in listed] == [token["id"]]
    assert call(API.Profiles, "get_push_token", token["id"])["data"]["attributes"]["vendor"] == "apns"
    assert call(API.Profiles, "get_profile_for_push_token", token["id"])["data"]["id"] == id
    assert call(API.Profiles, "get_profile_id_for_push_token", token["id"])["data"]["id"] == id
    call(API.Profiles, "delete_push_token", token["id"])
    expect_error(404, lambda: API.Profiles.get_push_token(token["id"]))


def whose(name: str) -> str:
    return f'equals(email,"{mail(name)}")'


def merge(id: str) -> None:
    source = plain(API.Profiles.create_profile(body("profile", {"external_id": f"source-{MARK}"})))["data"]["id"]
    relationships = {"profiles": {"data": [{"type": "profile", "id": source}]}}
    query = {"data": {"type": "profile-merge", "id": id, "relationships": relationships}}
    assert call(API.Profiles, "merge_profiles", query)["data"]["id"] == id
    assert plain(API.Profiles.get_profile(id))["data"]["attributes"]["external_id"] == f"source-{MARK}"


def events() -> None:
    """The profile of an event is created; events are not stored."""
    metric = {"data": {"type": "metric", "attributes": {"name": "Viewed"}}}
    profile = {"data": {"type": "profile", "attributes": {"email": mail("event"), "properties": {"plan": "pro"}}}}
    attributes = {"properties": {"item": "A-1"}, "metric": metric, "time": "2026-01-01T00:00:00Z"}
    call(API.Events, "create_event", body("event", {**attributes, "profile": profile}))
    found = plain(API.Profiles.get_profiles(filter=whose("event")))["data"]
    assert found[0]["attributes"]["properties"] == {"plan": "pro"}
    assert str(found[0]["attributes"]["last_event_date"]).startswith("2026-01-01")
    rows = {"data": [body("event", attributes)["data"]]}
    batch = body("event-bulk-create", {"profile": profile, "events": rows})["data"]
    call(API.Events, "bulk_create_events", body("event-bulk-create-job", {"events-bulk-create": {"data": [batch]}}))
    call(API.Events, "get_events")
    expect_error(404, lambda: API.Events.get_event("x"))


def lists(id: str) -> None:
    """Add a profile to a list, find it there, and remove it."""
    members = {"data": [{"type": "profile", "id": id}]}
    call(API.Lists, "add_profiles_to_list", MARK, members)
    page = call(API.Lists, "get_profiles_for_list", MARK, sort="-joined_group_at")
    assert [each["id"] for each in page["data"]] == [id]
    assert [each["id"] for each in call(API.Lists, "get_profile_ids_for_list", MARK)["data"]] == [id]
    assert call(API.Lists, "get_list", MARK)["data"]["id"] == MARK
    call(API.Lists, "get_lists")
    call(API.Lists, "remove_profiles_from_list", MARK, members)
    expect_error(404, lambda: API.Lists.get_list(MARK))
    for api, name in ((API.Segments, "get_segments"), (API.Metrics, "get_metrics"), (API.Tags, "get_tags")):
        assert call(api, name)["data"] == []
    assert len(call(API.Accounts, "get_accounts")["data"]) == 1


def client() -> None:
    """The public endpoint returns no body."""
    attributes = {"email": mail("browser"), "first_name": "Bo", "properties": {"from": "web"}}
    assert not call(API.Client, "create_client_profile", COMPANY, body("profile", attributes))
    found = plain(API.Profiles.get_profiles(filter=f'equals(email,"{mail("browser")}")'))
    assert found["data"][0]["attributes"]["first_name"] == "Bo"


def deletion(id: str) -> None:
    named = {"profile_id": id} if IS_OLD else {"profile": {"data": {"type": "profile", "id": id, "attributes": {}}}}
    call(API.Data_Privacy, "request_profile_deletion", body("data-privacy-deletion-job", named))
    expect_error(404, lambda: API.Profiles.get_profile(id))


def main() -> None:
    id = profiles()
    listing(id)
    related(id, "get_lists_for_profile", "get_list_ids_for_profile", "get_segments_for_profile")
    related(id, "get_segment_ids_for_profile")
    related(id, "get_profile_lists", "get_profile_relationships_lists")
    related(id, "get_profile_segments", "get_profile_relationships_segments")
    if not IS_OLD:
        imports(id)
        jobs()
        merge(id)
        consent()
        push(id)
        events()
        lists(id)
    else:
        old_consent()
    if hasattr(API.Client, "create_client_profile"):
        client()
    deletion(id)
    report()


def report() -> None:
    """Print the methods that were called. Fail if the SDK has another one."""
    kind = type(API.Profiles)
    names = {name for name in dir(kind) if name.split("_")[0] in VERBS and not name.endswith(VARIANTS)}
    own = {getattr(kind, name) for name in names}
    called = {method.__name__ for method in own if OTHER_RIGHT not in (method.__doc__ or "")}
    assert called <= {*done}, sorted(called - {*done})
    print(*dict.fromkeys(done), sep="\n")


VARIANTS = ("_with_http_info", "_without_preload_content")
VERBS = {"get", "create", "update", "delete", "bulk", "merge", "subscribe", "unsubscribe", "suppress", "unsuppress"}

if __name__ == "__main__":
    main()
