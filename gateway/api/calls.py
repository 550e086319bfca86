"""The calls: method, path, the rights that each requires, and the functions that parse, run and render it."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from gateway.api import operations, relay_operations, relay_requests, replies, requests
from gateway.api.context import CallContext
from gateway.core.rights import DELETE, DELIVER, READ
from gateway.dialects.protocol import Reply, Request

DATABASE = "/gateway/v1/databases/{database}"
PROFILE = f"{DATABASE}/profiles/{{profile}}"
MERGES = f"{DATABASE}/merges"
WEBHOOKS = f"{DATABASE}/webhooks"
WEBHOOK = f"{WEBHOOKS}/{{webhook}}"

RELAYS = f"{DATABASE}/relays"
RELAY = f"{RELAYS}/{{relay}}"

DELIVERY_RIGHTS = READ, DELIVER


class ApiCall(Struct, frozen=True):
    """One call. `run` gets what `parse` returns; `render` gets what `run` returns. `parse` and `run` raise `Refusal`.

    With `streams`, the call returns server-sent events where Accept asks for them. Without `has_body`, it needs none.
    """

    method: str
    path: str
    rights: tuple[str, ...]
    parse: Callable[[Request], Any]
    run: Callable[[CallContext, Any], Awaitable[Any]]
    render: Callable[[Any], Reply]
    streams: bool = False
    has_body: bool = True


CALLS: tuple[ApiCall, ...] = (
    ApiCall("GET", PROFILE, (READ,), requests.parse_profile, operations.find_profile, replies.render_profile),
    ApiCall(
        *("POST", f"{PROFILE}/erase", (DELETE,)),
        *(requests.parse_erasure, operations.erase_profile, replies.render_removed),
        has_body=False,
    ),
    ApiCall(
        "GET", f"{PROFILE}/history", (READ,), requests.parse_history, operations.read_history, replies.render_history
    ),
    ApiCall(
        "GET", f"{DATABASE}/changes", (READ,), requests.parse_feed, operations.read_feed, replies.render_feed, True
    ),
    ApiCall("GET", MERGES, (READ,), requests.parse_merges, operations.list_merges, replies.render_merges),
    ApiCall(
        *("POST", f"{MERGES}/{{merge}}/undo", (DELETE,), requests.parse_undo, operations.undo_merge),
        *(replies.render_merge, False, False),
    ),
    ApiCall(
        "GET", WEBHOOKS, DELIVERY_RIGHTS, requests.parse_nothing, operations.list_webhooks, replies.render_webhooks
    ),
    ApiCall(
        "POST", WEBHOOKS, DELIVERY_RIGHTS, requests.parse_new_webhook, operations.create_webhook, replies.render_created
    ),
    ApiCall("GET", WEBHOOK, DELIVERY_RIGHTS, requests.parse_webhook, operations.find_webhook, replies.render_webhook),
    ApiCall(
        "DELETE", WEBHOOK, DELIVERY_RIGHTS, requests.parse_webhook, operations.remove_webhook, replies.render_removed
    ),
    ApiCall("GET", f"{WEBHOOK}/dead", DELIVERY_RIGHTS, requests.parse_dead, operations.list_dead, replies.render_dead),
    ApiCall(
        *("POST", f"{WEBHOOK}/replay", DELIVERY_RIGHTS),
        *(requests.parse_replay, operations.replay_webhook, replies.render_resumed),
    ),
    ApiCall(
        *("GET", RELAYS, DELIVERY_RIGHTS, requests.parse_nothing, relay_operations.list_relays, replies.render_relays),
    ),
    ApiCall(
        *("POST", RELAYS, DELIVERY_RIGHTS),
        *(relay_requests.parse_new_relay, relay_operations.create_relay, replies.render_created_relay),
    ),
    ApiCall(
        *("GET", RELAY, DELIVERY_RIGHTS),
        *(relay_requests.parse_relay, relay_operations.find_relay, replies.render_relay),
    ),
    ApiCall(
        *("DELETE", RELAY, DELIVERY_RIGHTS),
        *(relay_requests.parse_relay, relay_operations.remove_relay, replies.render_removed),
    ),
    ApiCall(
        *("GET", f"{RELAY}/status", DELIVERY_RIGHTS),
        *(relay_requests.parse_relay, relay_operations.read_status, replies.render_status),
    ),
    ApiCall(
        *("GET", f"{RELAY}/dead", DELIVERY_RIGHTS),
        *(relay_requests.parse_letters, relay_operations.list_letters, replies.render_dead),
    ),
    ApiCall(
        *("POST", f"{RELAY}/replay", DELIVERY_RIGHTS),
        *(relay_requests.parse_replay, relay_operations.replay_letters, replies.render_resumed_relay),
    ),
    ApiCall(
        *("POST", f"{RELAY}/drop", DELIVERY_RIGHTS),
        *(relay_requests.parse_drop, relay_operations.drop_letters, replies.render_removed),
    ),
)
