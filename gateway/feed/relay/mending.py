"""Dead letters that an operator mends: the requests that would be sent now, and those that are sent in their place."""

import re
from collections.abc import Sequence
from typing import Any

from gateway.core.faults import Refusal, refuse
from gateway.core.subscribers import Subscriber
from gateway.dialects.outgoing import OutgoingRequest
from gateway.feed.letters import find_entry, find_letter
from gateway.feed.relay.account import AccountSession
from gateway.feed.relay.sender import RelaySender
from gateway.media.json import decode
from gateway.stores.protocol import Store

_PATH = re.compile(r"/(?!/)[!-~]*")


async def letter_requests(store: Store, relay: Subscriber, position: int, sender: RelaySender) -> list[dict[str, Any]]:
    """Return the requests that a dead letter would be sent with now, whose JSON `parse_requests` reads.

    Raises `Refusal`: invalid_parameter, where there is no such letter, or its event is no longer kept.
    """
    letter = await find_letter(store, relay, position)
    found = await sender.requests(await find_entry(store, relay, letter))
    return [{"method": each.method, "path": each.path, "body": each.tree} for each in found]


def parse_requests(text: str) -> list[OutgoingRequest]:
    """Parse the JSON of requests that were edited. Raises `Refusal`: invalid_parameter."""
    try:
        tree = decode(text.encode())
    except (Refusal, ValueError):
        raise refuse("invalid_parameter", "the requests are not JSON") from None
    if not isinstance(tree, list) or not tree:
        raise refuse("invalid_parameter", "it must be a list of requests", "/requests")
    return [_parse_request(each, f"/requests/{index}") for index, each in enumerate(tree)]


def _parse_request(each: Any, pointer: str) -> OutgoingRequest:
    if not isinstance(each, dict) or not {"method", "path"} <= each.keys() <= {"method", "path", "body"}:
        raise refuse("invalid_parameter", "it must have method and path, and may have a body", pointer)
    method, path = each["method"], each["path"]
    if method not in ("POST", "PUT", "PATCH", "DELETE"):
        raise refuse("invalid_parameter", "it must be POST, PUT, PATCH or DELETE", f"{pointer}/method")
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise refuse("invalid_parameter", "it must begin with one /, and be encoded", f"{pointer}/path")
    return OutgoingRequest(method, path, each.get("body"))


async def send_mended(
    store: Store, relay: Subscriber, position: int, requests: Sequence[OutgoingRequest], session: AccountSession
) -> str:
    """Send requests in place of a dead letter, which is dropped then. Return the reason if the account refused one."""
    if failed := await session.send_all(requests, f"{relay.id}-{position}-mended", 1):
        return failed.reason
    await store.drop_deliveries(relay.database, relay.id, [position])
    return ""
