"""Results as replies."""

from typing import Any

from gateway.api.operations import FeedPage, FoundProfile, HistoryPage
from gateway.dialects.protocol import Reply
from gateway.feed.history import render_entry


def render_profile(profile: FoundProfile) -> Reply:
    members: dict[str, Any] = {"id": profile.id, "version": profile.version, "document": profile.document}
    return Reply(200, {"profile": members})


def render_history(page: HistoryPage) -> Reply:
    return Reply(200, {"entries": [render_entry(entry) for entry in page.entries], "next": page.next})


def render_feed(page: FeedPage) -> Reply:
    return Reply(200, {"events": page.events, "cursor": page.cursor})
