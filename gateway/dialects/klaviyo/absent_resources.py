"""Resources that the gateway has none of: computed segments, metrics, stored events, tags, campaigns and the like.

Their lists are empty, because clients read them on the way to profiles; one of them by id does not exist.
"""

from collections.abc import Callable, Mapping
from functools import partial

from gateway.core.faults import refuse
from gateway.dialects.klaviyo.jsonapi.filters import EQUALITY_OPERATORS, ORDER_OPERATORS, parse_filter
from gateway.dialects.klaviyo.jsonapi.links import link_context, parse_parameters, render_collection
from gateway.dialects.klaviyo.requests import NO_MATCH
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

_TIMES = dict.fromkeys(("created", "updated"), ("equals", *ORDER_OPERATORS))
OPERATORS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "segment": {
        **dict.fromkeys(("name", "id"), EQUALITY_OPERATORS),
        **dict.fromkeys(("created", "updated"), ("greater-than",)),
        **dict.fromkeys(("is_active", "is_starred"), EQUALITY_OPERATORS),
    },
    "metric": dict.fromkeys(("integration.name", "integration.category"), ("equals",)),
    "event": {
        **dict.fromkeys(("metric_id", "profile_id"), ("equals",)),
        "profile": ("has",),
        **dict.fromkeys(("datetime", "timestamp"), ORDER_OPERATORS),
    },
    "tag": {"name": ("equals", "contains", "starts-with", "ends-with")},
    "flow": {"id": ("any",), **_TIMES, **dict.fromkeys(("name", "status", "archived", "trigger_type"), ("equals",))},
    "campaign": {
        "messages.channel": ("equals",),
        "name": ("contains",),
        "status": EQUALITY_OPERATORS,
        "archived": ("equals",),
        **dict.fromkeys(("created_at", "updated_at", "scheduled_at"), ORDER_OPERATORS),
    },
    "geofence": {},
    "template": {"id": EQUALITY_OPERATORS, "name": EQUALITY_OPERATORS, **_TIMES},
}
"""By type of resource, the operators that the filter of its list accepts for each field."""


def list_parser(type: str) -> Callable[[Request], ParsedRequest]:
    """Return the function that parses GET of all resources of a type."""
    return partial(_parse_list, type=type)


def _parse_list(request: Request, *, type: str) -> ParsedRequest:
    parse_filter(parse_parameters(request).get("filter", ""), OPERATORS[type])
    return ParsedRequest(None, [ParsedCommand({"match": NO_MATCH})], link_context(request))


def search_parser(type: str) -> Callable[[Request], ParsedRequest]:
    """Return the function that parses GET of one resource of a type, or of what it is related to."""
    return partial(_reject_id, type=type)


def _reject_id(request: Request, *, type: str) -> ParsedRequest:
    """Raise `Refusal`: unknown_segment. Its text names the type."""
    article = "An" if type[0] in "aeiou" else "A"
    raise refuse("unknown_segment", f"{article} {type} with id {request.path['id'][:60]} does not exist.")


def render_empty(result: Result) -> Reply:
    """Render an empty page."""
    return render_collection(result.context, [])
