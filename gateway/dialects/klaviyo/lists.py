"""Klaviyo's lists: static segments in the canonical form. Klaviyo's segments are computed, and the gateway has none."""

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.core.model import Database, Update
from gateway.core.segments import Segment, SegmentId, segment_of, visible_segments
from gateway.dialects.klaviyo.jsonapi.links import render_collection
from gateway.dialects.klaviyo.times import render_time
from gateway.dialects.protocol import Reply, Result

SINGLE_OPT_IN, DOUBLE_OPT_IN = "single_opt_in", "double_opt_in"


def change_lists(action: str, ids: Sequence[str]) -> Update:
    """Return the part of an update that adds a profile to lists ("add") or removes it ("remove")."""
    return {"segments": {action: [segment_of(id) for id in ids]}} if ids else {}


def render_lists(result: Result, segments: Iterable[SegmentId]) -> Reply:
    """Render the lists as resources."""
    return render_collection(result.context, list_resources(segments, result.database, result.context["base"]))


def render_list_ids(result: Result, segments: Iterable[SegmentId]) -> Reply:
    """Render the lists as resource identifiers."""
    visible = visible_segments(segments, result.database.segments)
    return render_collection(result.context, [{"type": "list", "id": str(each)} for each in visible])


def list_resources(segments: Iterable[SegmentId], database: Database, base: str) -> list[dict[str, Any]]:
    """Return the lists as resources, without archived ones. `base` is the scheme and host of their links."""
    visible = visible_segments(segments, database.segments)
    return [_list_resource(each, database, f"{base}/api/lists") for each in visible]


def _list_resource(segment: SegmentId, database: Database, link: str) -> dict[str, Any]:
    attributes = list_attributes(segment, database.segments.get(segment))
    attributes.pop("opt_in_process")
    return {"type": "list", "id": str(segment), "attributes": attributes, "links": {"self": f"{link}/{segment}"}}


def list_attributes(id: SegmentId, declared: Segment | None) -> dict[str, Any]:
    """Return the attributes of a list. One that is not declared has its id as its name."""
    if declared is None:
        return {"name": str(id), "created": None, "updated": None, "opt_in_process": SINGLE_OPT_IN}
    times = (None if time is None else render_time(time) for time in (declared.created, declared.updated))
    process = DOUBLE_OPT_IN if declared.is_double_opt_in else SINGLE_OPT_IN
    return dict(zip(("name", "created", "updated", "opt_in_process"), (declared.name, *times, process), strict=True))
