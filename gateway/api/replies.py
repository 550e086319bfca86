"""Results as replies."""

from collections.abc import Mapping
from typing import Any

from gateway.api.operations import CreatedWebhook, DeadPage, FeedPage, FoundProfile, HistoryPage, MergesPage
from gateway.core.model import RecordedMerge, Tree
from gateway.core.times import format_time
from gateway.core.visible_values import visible_document
from gateway.dialects.protocol import Reply
from gateway.feed.history import render_entry


def render_profile(profile: FoundProfile) -> Reply:
    document = visible_document(profile.document)
    return Reply(200, {"profile": {"id": profile.id, "version": profile.version, "document": document}})


def render_history(page: HistoryPage) -> Reply:
    return Reply(200, {"entries": [render_entry(entry) for entry in page.entries], "next": page.next})


def render_feed(page: FeedPage) -> Reply:
    return Reply(200, {"events": page.events, "cursor": page.cursor})


def render_merges(page: MergesPage) -> Reply:
    return Reply(200, {"merges": list(map(_render_merge, page.merges)), "next": page.next})


def render_merge(merge: RecordedMerge) -> Reply:
    return Reply(200, {"merge": _render_merge(merge)})


def _render_merge(merge: RecordedMerge) -> Tree:
    entry = merge.entry
    return {
        "id": entry.merge,
        "time": format_time(entry.origin.time),
        "destination": entry.profile,
        "sources": (entry.replay or {}).get("sources", []),
        "undone": merge.is_undone,
    }


def render_webhooks(webhooks: list[Tree]) -> Reply:
    return Reply(200, {"webhooks": webhooks})


def render_webhook(webhook: Tree) -> Reply:
    return Reply(200, {"webhook": webhook})


def render_created(created: CreatedWebhook) -> Reply:
    return Reply(201, {"webhook": created.webhook, "secret": created.secret})


def render_relays(relays: list[Tree]) -> Reply:
    return Reply(200, {"relays": relays})


def render_relay(relay: Tree) -> Reply:
    return Reply(200, {"relay": relay})


def render_created_relay(relay: Tree) -> Reply:
    return Reply(201, {"relay": relay})


def render_resumed_relay(relay: Tree) -> Reply:
    return Reply(202, {"relay": relay})


def render_status(status: Mapping[str, Any]) -> Reply:
    """Render the numbers of a relay. Their names are values: they may be none of an element in XML."""
    failures = [{"status": name, "count": count} for name, count in status["failures"].items()]
    skipped = [{"member": name, "count": count} for name, count in status["skipped"].items()]
    return Reply(200, {"status": {**status, "failures": failures, "skipped": skipped}})


def render_removed(_nothing: None) -> Reply:
    return Reply(204, None)


def render_dead(page: DeadPage) -> Reply:
    return Reply(200, {"dead": page.letters, "next": page.next})


def render_resumed(webhook: Tree) -> Reply:
    return Reply(202, {"webhook": webhook})
