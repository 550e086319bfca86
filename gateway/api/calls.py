"""The calls: method, path, the rights that each requires, and the functions that parse, run and render it."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from gateway.api import operations, replies, requests
from gateway.api.context import CallContext
from gateway.core.model import DELETE, DELIVER, READ
from gateway.dialects.protocol import Reply, Request

DATABASE = "/gateway/v1/databases/{database}"
PROFILE = f"{DATABASE}/profiles/{{profile}}"
MERGES = f"{DATABASE}/merges"
WEBHOOKS = f"{DATABASE}/webhooks"
WEBHOOK = f"{WEBHOOKS}/{{webhook}}"

WEBHOOK_RIGHTS = READ, DELIVER


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
    ApiCall("GET", WEBHOOKS, WEBHOOK_RIGHTS, requests.parse_nothing, operations.list_webhooks, replies.render_webhooks),
    ApiCall(
        "POST", WEBHOOKS, WEBHOOK_RIGHTS, requests.parse_new_webhook, operations.create_webhook, replies.render_created
    ),
    ApiCall("GET", WEBHOOK, WEBHOOK_RIGHTS, requests.parse_webhook, operations.find_webhook, replies.render_webhook),
    ApiCall(
        "DELETE", WEBHOOK, WEBHOOK_RIGHTS, requests.parse_webhook, operations.remove_webhook, replies.render_removed
    ),
    ApiCall("GET", f"{WEBHOOK}/dead", WEBHOOK_RIGHTS, requests.parse_dead, operations.list_dead, replies.render_dead),
    ApiCall(
        *("POST", f"{WEBHOOK}/replay", WEBHOOK_RIGHTS),
        *(requests.parse_replay, operations.replay_webhook, replies.render_resumed),
    ),
)
