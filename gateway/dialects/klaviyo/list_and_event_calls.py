"""The calls on lists, events and what else clients read on the way to profiles."""

from collections.abc import Sequence

from gateway.core.rights import DELETE, READ, WRITE
from gateway.dialects.klaviyo import accounts, back_in_stock, events, list_calls, list_changes
from gateway.dialects.klaviyo.absent_resources import list_parser, render_empty, search_parser
from gateway.dialects.klaviyo.call_groups import (
    ACCOUNT_RATES,
    BULK_RATES,
    CLIENT_RATES,
    DEFAULT_RATES,
    PRIVACY_RATES,
    CallGroup,
    CallRow,
)
from gateway.dialects.klaviyo.push_tokens import render_removal
from gateway.dialects.klaviyo.replies import render_accepted
from gateway.dialects.klaviyo.revisions import FIRST_REVISION
from gateway.dialects.protocol import ATOMIC, DECLARE_SEGMENT, DESCRIBE, LIST, REMOVE_SEGMENT, UPDATE

MEMBERS, MEMBER_IDS = "/api/lists/{id}/profiles", "/api/lists/{id}/relationships/profiles"


def _empty_list(type: str) -> CallRow:
    """Return the call that lists a type of resources which the gateway has none of."""
    return f"GET /api/{type}s", DESCRIBE, READ, list_parser(type), render_empty


def _absent(type: str, path: str = "") -> CallRow:
    """Return the call that reads one of them."""
    return f"GET /api/{type}s/{{id}}{path}", DESCRIBE, READ, search_parser(type), render_empty


LIST_AND_EVENT_CALLS: Sequence[CallGroup] = (
    CallGroup(
        FIRST_REVISION,
        CLIENT_RATES,
        (
            ("POST /client/events", UPDATE, WRITE, events.parse_client_event, render_accepted),
            ("POST /api/events", UPDATE, WRITE, events.parse_event, render_accepted),
            (
                "POST /client/back-in-stock-subscriptions",
                UPDATE,
                WRITE,
                back_in_stock.parse_client_creation,
                render_accepted,
            ),
            ("POST /api/back-in-stock-subscriptions", UPDATE, WRITE, back_in_stock.parse_creation, render_accepted),
            _empty_list("event"),
            _absent("event", "/profile"),
            _absent("event", "/metric"),
            _absent("event", "/relationships/profile"),
            _absent("event", "/relationships/metric"),
            ("POST /onsite/track-analytics", DESCRIBE, WRITE, events.parse_analytics, render_accepted),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        (*BULK_RATES, "150/day"),
        (("POST /api/lists", DECLARE_SEGMENT, WRITE, list_changes.parse_creation, list_changes.render_creation),),
    ),
    CallGroup(
        FIRST_REVISION,
        BULK_RATES,
        (
            ("POST /client/event-bulk-create", UPDATE, WRITE, events.parse_client_events, render_accepted),
            ("POST /api/event-bulk-create-jobs", ATOMIC, WRITE, events.parse_job, render_accepted),
            ("PATCH /api/lists/{id}", DECLARE_SEGMENT, WRITE, list_changes.parse_change, list_changes.render_change),
            ("DELETE /api/lists/{id}", REMOVE_SEGMENT, DELETE, list_changes.parse_deletion, render_removal),
            (f"POST {MEMBER_IDS}", ATOMIC, WRITE, list_calls.parse_additions, render_removal),
            (f"DELETE {MEMBER_IDS}", ATOMIC, WRITE, list_calls.parse_removals, render_removal),
            _absent("event"),
            _empty_list("metric"),
            _absent("metric"),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        DEFAULT_RATES,
        (
            ("GET /api/lists", DESCRIBE, READ, list_calls.parse_lists, list_calls.render_lists),
            ("GET /api/lists/{id}", LIST, READ, list_calls.parse_search, list_calls.render_list),
            (f"GET {MEMBERS}", LIST, READ, list_calls.parse_members, list_calls.render_members),
            (f"GET {MEMBER_IDS}", LIST, READ, list_calls.parse_members, list_calls.render_member_ids),
            _empty_list("segment"),
            _absent("segment"),
            _absent("segment", "/profiles"),
            _absent("segment", "/relationships/profiles"),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        PRIVACY_RATES,
        (
            *map(_empty_list, ("tag", "flow", "campaign", "template")),
            ("GET /client/geofences", DESCRIBE, WRITE, list_parser("geofence"), render_empty),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        ACCOUNT_RATES,
        (
            ("GET /api/accounts", DESCRIBE, READ, accounts.parse_search, accounts.render_accounts),
            ("GET /api/accounts/{id}", DESCRIBE, READ, accounts.parse_search, accounts.render_account),
        ),
    ),
)
"""By rates. Those of an app send no secret."""
