"""Merges: the profiles of a relationship are merged into the destination."""

from gateway.core.faults import Fault, Refusal
from gateway.dialects.klaviyo.jsonapi.documents import ATTRIBUTES, parse_object, parse_related_ids, parse_resource
from gateway.dialects.klaviyo.jsonapi.links import render_resource
from gateway.dialects.klaviyo.replies import profile_of, profile_resource
from gateway.dialects.klaviyo.requests import match_id, profile_context
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

_SOURCES = "/data/relationships/profiles/data"


def parse_merge(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-merge`. `data.id` is the destination."""
    data, faults = parse_resource(request, "profile-merge")
    sources = parse_related_ids(data, "profiles", "profile", faults)
    destination = data.get("id")
    if not destination:
        faults.append(Fault("missing_parameter", "it is missing", "/data/id"))
    if destination in sources:
        faults.append(Fault("invalid_parameter", "a profile cannot be merged into itself", _SOURCES))
    if not (sources or faults):
        faults.append(Fault("missing_parameter", "it is missing", _SOURCES))
    if not (destination and sources):
        raise Refusal(faults)
    parse_object(data.get("attributes"), ATTRIBUTES, faults)
    matches = [match_id(source)["match"] for source in dict.fromkeys(sources)]
    command = {**match_id(destination), "sources": matches, "move_segments": True, "remove_sources": True}
    return ParsedRequest(None, [ParsedCommand(command, faults)], profile_context(request))


def render_destination(result: Result) -> Reply:
    """Render the type, id and links of the destination."""
    resource = profile_resource(profile_of(result), result.context)
    return render_resource({name: resource[name] for name in ("type", "id", "links")}, 201)
