"""The documents of JSON:API that hold resources: one of them, or a page with links to its neighbours."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.dialects.klaviyo.jsonapi.links import page_link
from gateway.dialects.protocol import Reply


def single(resource: dict[str, Any]) -> dict[str, Any]:
    """The document of one resource."""
    return {"data": resource, "links": resource["links"]}


def related_links(link: str, name: str) -> dict[str, str]:
    """Where the resources are that the one of this link is related to by this name."""
    return {"self": f"{link}/relationships/{name}", "related": f"{link}/{name}"}


def page(
    about: Mapping[str, Any],
    found: Sequence[Any],
    resource: Callable[[Any], dict[str, Any]],
    sorted_value: Callable[[Any, str], Any],
) -> Reply:
    """A page, and the links to its neighbours. What was read backwards is turned round."""
    rows, more = found[: about["size"]], len(found) > about["size"]
    rows = rows[::-1] if about["backwards"] else rows
    links = {"self": about["base"] + about["target"]}
    for direction, row, is_there in (
        ("next", rows[-1:], about["backwards"] or more),
        ("prev", rows[:1], more if about["backwards"] else not about["first"]),
    ):
        for end in row if is_there else ():
            links[direction] = page_link(about, direction, about["sort"], sorted_value(end, about["sort"]), end.id)
    return Reply(200, {"data": [resource(row) for row in rows], "links": links})


def slice_of(about: Mapping[str, Any], rows: Sequence[dict[str, Any]], total: int) -> Reply:
    """A page of what came of a job, which is counted."""
    links = {"self": about["base"] + about["target"]}
    skipped, size = about["skip"], about["size"]
    if skipped + size < total:
        links["next"] = page_link(about, "next", "number", skipped + size, "")
    if skipped:
        links["prev"] = page_link(about, "prev", "number", max(0, skipped - size), "")
    return Reply(200, {"data": list(rows), "links": links})
