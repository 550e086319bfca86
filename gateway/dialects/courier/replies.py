"""Results as Courier's replies."""

from collections.abc import Mapping
from typing import Any

from gateway.core.model import Database, Document, Profile
from gateway.core.segments import visible_segments
from gateway.core.times import format_time
from gateway.dialects.courier.fields import FIELD_TYPES, FIELDS, NAMESPACE, PHONE
from gateway.dialects.courier.pages import segments_after
from gateway.dialects.protocol import Reply, Result

SUCCESS = {"status": "SUCCESS"}
PREFERENCES: Mapping[str, Any] = {"categories": {}, "notifications": {}}

_MEMBERS = tuple((name, path[0], FIELD_TYPES[name]) for name, path in FIELDS.items())
"""Each field, the member of a document that has it, and its type."""


def render_success(_result: Result) -> Reply:
    return Reply(200, SUCCESS)


def render_no_content(_result: Result) -> Reply:
    """Render 204 without a body."""
    return Reply(204, None)


def render_profile(result: Result) -> Reply:
    (profile,) = result.outcomes
    assert isinstance(profile, Profile)
    return Reply(200, {"profile": render_document(profile.document), "preferences": PREFERENCES})


def render_document(document: Document) -> dict[str, Any]:
    """Return Courier's view of a document. A value of another dialect that has the wrong type is left out."""
    view = dict(document.get(NAMESPACE, {}))
    for name, member, type in _MEMBERS:
        value = document.get(member)
        if name == PHONE and isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, type):
            view[name] = value
    return view


def render_lists(result: Result) -> Reply:
    """Render the page of the profile's lists after the cursor. A profile that does not exist has no lists."""
    (profile,) = result.outcomes
    if not isinstance(profile, Profile):
        return Reply(200, {"paging": {"more": False}, "results": []})
    segments = visible_segments(profile.document.get("segments", ()), result.database.segments)
    page, paging = segments_after(segments, result.context["cursor"])
    return Reply(200, {"paging": paging, "results": [_render_list(each, profile, result.database) for each in page]})


def _render_list(segment: int | str, profile: Profile, database: Database) -> dict[str, Any]:
    """Render one list of a profile. If another dialect added the profile to it, the times are the profile's own."""
    membership = profile.document.get("memberships", {}).get(str(segment), {})
    declared = database.segments.get(segment)
    preferences = {"preferences": membership["preferences"]} if "preferences" in membership else {}
    return {
        "id": str(segment),
        "name": declared.name if declared else str(segment),
        "created": format_time(membership.get("created", profile.created)),
        "updated": format_time(membership.get("updated", profile.updated)),
        **preferences,
    }
