"""Bodies in which every object, list, boolean and number has a declared type, and what is of none."""

from collections.abc import Iterator
from typing import Any

from tests.hostile.crossed import EMAIL
from tests.hostile.server import TOKEN

SUBSCRIBED = {"channel": "email", "email": EMAIL, "resource_id": 1, "priority": 1, "cats": [], "custom_fields": {}}
ALTCRAFT = {
    "token": TOKEN,
    "db_id": 1,
    "matching": "email_sub",
    "email": EMAIL,
    "resource_id": 1,
    "skip_triggers": False,
    "detect_geo": False,
    "skip_invalid_subscriptions": False,
    "add_to_segments": [],
    "remove_from_segments": [],
    "data": {"email": EMAIL, "subscriptions": [SUBSCRIBED]},
}
PERSON = {
    "type": "profile",
    "attributes": {"email": EMAIL, "location": {}, "properties": {}},
    "meta": {"patch_properties": {"append": {}, "unappend": {}}, "patch_identifiers": {"append": {}}},
}
CONSENT = {"email": EMAIL, "subscriptions": {"email": {"marketing": {"consent": "SUBSCRIBED"}}}}
SUBSCRIPTION = {
    "type": "profile-subscription-bulk-create-job",
    "attributes": {"historical_import": False, "profiles": {"data": [{"type": "profile", "attributes": CONSENT}]}},
    "relationships": {"list": {"data": {"type": "list", "id": "7"}}},
}
DEVICE_NAMED = {"token": "t", "platform": "ios", "vendor": "apns", "device_metadata": {}, "profile": {"data": PERSON}}
TYPED: dict[str, Any] = {
    "/api/v1.1/profiles/import": ALTCRAFT,
    "/api/profile-import": {"data": PERSON},
    "/api/profile-bulk-import-jobs": {
        "data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": [PERSON]}}, "relationships": {}}
    },
    "/api/profile-subscription-bulk-create-jobs": {"data": SUBSCRIPTION},
    "/api/push-tokens": {"data": {"type": "push-token", "attributes": DEVICE_NAMED}},
}
"""By call, a body without own fields, in which every object, list, boolean and number has a declared type."""


def without_types(tree: Any) -> Iterator[Any]:
    """The tree, with an empty text in the place of one thing that is no text, for each of them."""
    if isinstance(tree, dict | list):
        for place in tree if isinstance(tree, dict) else range(len(tree)):
            for other in without_types(tree[place]):
                altered = tree.copy()
                altered[place] = other
                yield altered
    if not isinstance(tree, str):
        yield ""
