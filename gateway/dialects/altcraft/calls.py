"""Altcraft's calls: path, operation, right, and the functions that parse and render each."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gateway.core.rights import DELETE, READ, WRITE
from gateway.dialects.altcraft import (
    histories,
    merges,
    mobile_calls,
    profile_lists,
    quick_import,
    relations,
    replies,
    requests,
    resource_calls,
    starts,
    subscription_calls,
    subscription_lists,
)
from gateway.dialects.altcraft.credentials import app_credential
from gateway.dialects.altcraft.matching import DELETE_MODES, SEARCH_MODES
from gateway.dialects.protocol import (
    BATCH,
    CHANGE_STATUSES,
    DESCRIBE,
    FIND,
    HISTORY,
    JOURNAL,
    LIST,
    MERGE,
    RELATE,
    RELATIONS,
    REMOVE,
    SPLIT,
    UPDATE,
    Call,
    ParsedRequest,
    Reply,
    Request,
    Result,
)

ROOT = "/api/v1.1"
QUICK_IMPORT = "/api/integrations/any/profile_import"
PUBLIC_PUSH = "/push_subscribe"
APP_PREFIXES = ("/subscription/push", "/event", "/profile", PUBLIC_PUSH)
"""The paths of the mobile SDKs and of web pages."""

_parse_update = partial(requests.parse_profile, rule=requests.REQUIRE, search=True)
_parse_import = partial(requests.parse_profile, rule=requests.CREATE, search=True)
_parse_add = partial(requests.parse_profile, rule=requests.CREATE, search=False)
_parse_update_batch = partial(requests.parse_batch, rule=requests.REQUIRE, search=True)
_parse_import_batch = partial(requests.parse_batch, rule=requests.CREATE, search=True)
_parse_add_batch = partial(requests.parse_batch, rule=requests.CREATE, search=False)
_parse_search = partial(requests.parse_search, SEARCH_MODES)
_parse_removal = partial(requests.parse_removal, DELETE_MODES)
_parse_segment_add = partial(requests.parse_segment, "add")
_parse_segment_remove = partial(requests.parse_segment, "remove")

_parse_deletion = partial(subscription_calls.parse_deletion, is_deleted=True)
_parse_undeletion = partial(subscription_calls.parse_deletion, is_deleted=False)

_parse_suspension = partial(subscription_calls.parse_status_change, ("subscribed", "suspended"))
_parse_unsuspension = partial(subscription_calls.parse_status_change, ("suspended", "subscribed"))

_parse_attachment = partial(relations.parse_change, "attach")
_parse_detachment = partial(relations.parse_change, "detach")
_parse_strengthening = partial(relations.parse_change, "add")

_POINTERS: Mapping[str, Mapping[str, str]] = {
    "profiles/segstatic/add": {"/segments/add/0": "/segment_id"},
    "profiles/segstatic/remove": {"/segments/remove/0": "/segment_id"},
    **{f"subscriptions/{name}": {"/subscriptions/0": ""} for name in ("set", "get", "delete", "undelete")},
    "resources/fields_get": {"/match/resource_id": "/id"},
    "profiles/merge": {"/match/mode": "/matching", "/match": "/destination", **merges.POINTERS},
    **{f"subscribers/{name}": histories.POINTERS for name in ("history_get", "history_get_all")},
    "profiles/message_unsub": resource_calls.UNSUBSCRIPTION_POINTERS,
    **{f"relations/{name}": relations.POINTERS for name in ("attach", "detach", "edit", "strengthen")},
    **{f"relations/{name}": {"/match/mode": "/matching"} for name in ("get", "get_counter")},
    "profiles/split": {"/match/mode": "/matching", "/match": "/source", **merges.POINTERS},
}
"""By path: the canonical pointers for which the call has a parameter of its own."""


def _call(
    path: str,
    operation: str,
    right: str,
    parse: Callable[[Request], ParsedRequest],
    render: Callable[[Result], Reply],
    **further: Any,
) -> Call:
    rights = (DELETE,) if operation in (MERGE, SPLIT) else ()
    pointers = _POINTERS.get(path, {})
    return Call(
        "POST", f"{ROOT}/{path}", operation, right, parse, render, pointers=pointers, further_rights=rights, **further
    )


def _app_call(
    name: str,
    operation: str,
    parse: Callable[[Request], ParsedRequest],
    render: Callable[[Result], Reply] = mobile_calls.render_profile,
    **further: Any,
) -> Call:
    """Return a call of the mobile SDKs, by method and path."""
    method, path = name.split()
    right = WRITE if operation == UPDATE else READ
    return Call(
        method,
        path,
        operation,
        right,
        parse,
        render,
        pointers=mobile_calls.POINTERS,
        key_header="request-id",
        credential=app_credential,
        **further,
    )


START_PATHS = {"trigger": "campaigns/triggers", "workflow": "workflows"}
"""By kind of what is started, the path of its calls."""


def _start_calls(kind: str) -> tuple[Call, Call]:
    """Return the calls that import and start a trigger campaign or a workflow: for one profile, and for many."""
    one, many = partial(starts.parse_start, kind), partial(starts.parse_start_batch, kind)
    path, size = START_PATHS[kind], {"max_body_bytes": starts.MAX_BODY_BYTES}
    return (
        _call(f"{path}/import_and_start", UPDATE, WRITE, one, replies.render_profile_id, **size),
        _call(f"{path}/import_and_start_batch", BATCH, WRITE, many, replies.render_batch),
    )


CALLS: tuple[Call, ...] = (
    _call("profiles/update", UPDATE, WRITE, _parse_update, replies.render_profile_id),
    _call("profiles/import", UPDATE, WRITE, _parse_import, replies.render_profile_id),
    _call("profiles/add", UPDATE, WRITE, _parse_add, replies.render_profile_id),
    _call("profiles/update_batch", BATCH, WRITE, _parse_update_batch, replies.render_batch),
    _call("profiles/import_batch", BATCH, WRITE, _parse_import_batch, replies.render_batch),
    _call("profiles/add_batch", BATCH, WRITE, _parse_add_batch, replies.render_batch),
    _call("profiles/get", FIND, READ, _parse_search, replies.render_profile),
    _call("profiles/list", LIST, READ, profile_lists.parse_list, profile_lists.render_list),
    _call("profiles/delete", REMOVE, DELETE, _parse_removal, replies.render_removal),
    _call("profiles/merge", MERGE, WRITE, merges.parse_merge, replies.render_profile_id),
    _call("profiles/split", SPLIT, WRITE, merges.parse_split, merges.render_split),
    _call("profiles/segstatic/add", UPDATE, WRITE, _parse_segment_add, replies.render_success),
    _call("profiles/segstatic/remove", UPDATE, WRITE, _parse_segment_remove, replies.render_success),
    _call("subscriptions/set", UPDATE, WRITE, subscription_calls.parse_set, replies.render_profile_id),
    _call("subscriptions/list", FIND, READ, subscription_calls.parse_list, subscription_calls.render_list),
    _call("subscriptions/list_all", LIST, READ, subscription_lists.parse_list, subscription_lists.render_list),
    _call("subscriptions/get", FIND, READ, subscription_calls.parse_get, subscription_calls.render_one),
    _call("subscriptions/delete", UPDATE, WRITE, _parse_deletion, replies.render_success),
    _call("subscriptions/undelete", UPDATE, WRITE, _parse_undeletion, replies.render_success),
    _call("subscriptions/suspend_all", CHANGE_STATUSES, WRITE, _parse_suspension, subscription_calls.render_number),
    _call("subscriptions/unsuspend_all", CHANGE_STATUSES, WRITE, _parse_unsuspension, subscription_calls.render_number),
    Call(
        "POST",
        QUICK_IMPORT,
        UPDATE,
        WRITE,
        quick_import.parse_profile,
        replies.render_profile_id,
        accepts_forms=True,
        render_faults=quick_import.render_faults,
    ),
    _call(
        "profiles/message_unsub",
        UPDATE,
        WRITE,
        resource_calls.parse_unsubscription,
        replies.render_profile_id,
        resource=partial(resource_calls.named_resource, resource_calls.UNSUBSCRIPTION_TOKEN),
    ),
    _call(
        "resources/push_subscribe",
        UPDATE,
        WRITE,
        resource_calls.parse_push,
        replies.render_profile_id,
        resource=partial(resource_calls.named_resource, resource_calls.SUBSCRIPTION_TOKEN),
    ),
    Call(
        "POST",
        PUBLIC_PUSH,
        UPDATE,
        WRITE,
        resource_calls.parse_push,
        resource_calls.render_public_push,
        is_public=True,
        credential=resource_calls.public_credential,
    ),
    _app_call("POST /subscription/push/subscribe", UPDATE, mobile_calls.parse_subscribe),
    _app_call("POST /subscription/push/update", UPDATE, mobile_calls.parse_token_update),
    _app_call("GET /subscription/push/status", FIND, mobile_calls.parse_status),
    _app_call("POST /subscription/push/unsuspend", UPDATE, mobile_calls.parse_unsuspension),
    _app_call("POST /event/post", UPDATE, mobile_calls.parse_event, mobile_calls.render_done, accepts_forms=True),
    _app_call("POST /profile/update", UPDATE, mobile_calls.parse_profile),
    _app_call("POST /event/push/open", DESCRIBE, mobile_calls.parse_push_event, mobile_calls.render_done),
    _app_call("POST /event/push/delivery", DESCRIBE, mobile_calls.parse_push_event, mobile_calls.render_done),
    *_start_calls("trigger"),
    *_start_calls("workflow"),
    _call("subscribers/history_get", HISTORY, READ, histories.parse_one, histories.render_one),
    _call("subscribers/history_get_all", JOURNAL, READ, histories.parse_all, histories.render_all),
    _call("relations/attach", RELATE, WRITE, _parse_attachment, relations.render_change),
    _call("relations/edit", RELATE, WRITE, _parse_attachment, relations.render_change),
    _call("relations/strengthen", RELATE, WRITE, _parse_strengthening, relations.render_change),
    _call("relations/detach", RELATE, WRITE, _parse_detachment, relations.render_change),
    _call("relations/get", RELATIONS, READ, relations.parse_search, relations.render_relations),
    _call("relations/get_counter", RELATIONS, READ, relations.parse_search, relations.render_counter),
    _call("databases/list", DESCRIBE, READ, requests.parse_description, replies.render_databases),
    _call("databases/fields_get", DESCRIBE, READ, requests.parse_description, replies.render_fields),
    _call("resources/fields_get", DESCRIBE, READ, requests.parse_description, replies.render_resource_fields),
)
