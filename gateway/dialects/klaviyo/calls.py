"""Klaviyo's calls: method, path, first revision, rates, operation, right, and the functions that parse and render."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from gateway.core.listing import SUPPRESSED
from gateway.core.rights import DELETE, READ, WRITE
from gateway.dialects.klaviyo import deletions, imports, merges, profiles, push_tokens, subscriptions, suppressions
from gateway.dialects.klaviyo.call_groups import (
    BULK_RATES,
    CLIENT_RATES,
    DEFAULT_RATES,
    FORM_RATES,
    PRIVACY_RATES,
    PUSH_RATES,
    CallGroup,
    CallRow,
)
from gateway.dialects.klaviyo.errors import EVENTS, MEMBERS, NESTED
from gateway.dialects.klaviyo.jobs import IMPORTS, SUPPRESSIONS, UNSUPPRESSIONS, JobType
from gateway.dialects.klaviyo.jsonapi.documents import trim_names
from gateway.dialects.klaviyo.list_and_event_calls import LIST_AND_EVENT_CALLS
from gateway.dialects.klaviyo.replies import render_accepted, render_profile, render_profiles
from gateway.dialects.klaviyo.revisions import FIRST_REVISION, check_revision
from gateway.dialects.protocol import (
    ATOMIC,
    FIND,
    IMPORT,
    JOB,
    JOB_PROFILES,
    JOBS,
    LIST,
    MERGE,
    REMOVE,
    UPDATE,
    Call,
    ParsedRequest,
    Request,
)

MAX_BODY_BYTES = 5_000_000
PUBLIC_PREFIXES = ("/client/", "/onsite/")
"""The starts of the paths of calls from a browser or an app, which send no secret."""


def _status_calls(jobs: JobType) -> tuple[CallRow, ...]:
    """Return the calls that read all jobs of a kind, and one."""
    return (
        (f"GET {jobs.path}", JOBS, READ, jobs.parse_list, jobs.render_list),
        (f"GET {jobs.path}/{{id}}", JOB, READ, jobs.parse_search, jobs.render_job),
    )


CALL_GROUPS: tuple[CallGroup, ...] = (
    CallGroup(
        FIRST_REVISION,
        CLIENT_RATES,
        (("POST /client/profiles", UPDATE, WRITE, profiles.parse_client_profile, render_accepted),),
    ),
    CallGroup(
        FIRST_REVISION,
        DEFAULT_RATES,
        (
            ("POST /api/profiles", UPDATE, WRITE, profiles.parse_creation, render_profile),
            ("GET /api/profiles", LIST, READ, profiles.parse_list, render_profiles),
            ("GET /api/profiles/{id}", FIND, READ, profiles.parse_search, render_profile),
            ("PATCH /api/profiles/{id}", UPDATE, WRITE, profiles.parse_update, render_profile),
            ("GET /api/profiles/{id}/lists", FIND, READ, profiles.parse_related, profiles.render_related_lists),
            ("GET /api/profiles/{id}/segments", FIND, READ, profiles.parse_related, profiles.render_no_segments),
            (
                "GET /api/profiles/{id}/relationships/lists",
                FIND,
                READ,
                profiles.parse_related,
                profiles.render_related_list_ids,
            ),
            (
                "GET /api/profiles/{id}/relationships/segments",
                FIND,
                READ,
                profiles.parse_related,
                profiles.render_no_segments,
            ),
            ("GET /api/profiles/{id}/push-tokens", FIND, READ, push_tokens.parse_related, push_tokens.render_related),
            (
                "GET /api/profiles/{id}/relationships/push-tokens",
                FIND,
                READ,
                profiles.parse_related,
                push_tokens.render_related_ids,
            ),
        ),
    ),
    CallGroup(
        "2024-02-15",
        DEFAULT_RATES,
        (("POST /api/profile-import", UPDATE, WRITE, profiles.parse_import, render_profile),),
    ),
    CallGroup(
        "2023-10-15",
        BULK_RATES,
        (
            (f"POST {IMPORTS.path}", IMPORT, WRITE, imports.parse_job_creation, IMPORTS.render_accepted),
            *_status_calls(IMPORTS),
            (f"GET {IMPORTS.path}/{{id}}/import-errors", JOB, READ, IMPORTS.parse_job, imports.render_errors),
            (f"GET {IMPORTS.path}/{{id}}/profiles", JOB_PROFILES, READ, IMPORTS.parse_job, imports.render_profiles),
            (
                f"GET {IMPORTS.path}/{{id}}/relationships/profiles",
                JOB,
                READ,
                IMPORTS.parse_job,
                imports.render_profile_ids,
            ),
            (f"GET {IMPORTS.path}/{{id}}/lists", JOB, READ, IMPORTS.parse_job, imports.render_related_lists),
            (
                f"GET {IMPORTS.path}/{{id}}/relationships/lists",
                JOB,
                READ,
                IMPORTS.parse_job,
                imports.render_related_list_ids,
            ),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        FORM_RATES,
        (("POST /client/subscriptions", UPDATE, WRITE, subscriptions.parse_client_subscription, render_accepted),),
    ),
    CallGroup(
        FIRST_REVISION,
        DEFAULT_RATES,
        (
            (
                "POST /api/profile-subscription-bulk-create-jobs",
                ATOMIC,
                WRITE,
                subscriptions.parse_creation,
                render_accepted,
            ),
            (
                "POST /api/profile-unsubscription-bulk-create-jobs",
                ATOMIC,
                WRITE,
                subscriptions.parse_deletion_of_2023,
                render_accepted,
            ),
            (f"POST {SUPPRESSIONS.path}", IMPORT, WRITE, suppressions.parse_creation, SUPPRESSIONS.render_accepted),
            (
                "POST /api/profile-unsuppression-bulk-create-jobs",
                IMPORT,
                WRITE,
                suppressions.parse_deletion_of_2023,
                UNSUPPRESSIONS.render_accepted,
            ),
        ),
    ),
    CallGroup(
        "2023-09-15",
        DEFAULT_RATES,
        (
            (
                "POST /api/profile-subscription-bulk-delete-jobs",
                ATOMIC,
                WRITE,
                subscriptions.parse_deletion,
                render_accepted,
            ),
            (f"POST {UNSUPPRESSIONS.path}", IMPORT, WRITE, suppressions.parse_deletion, UNSUPPRESSIONS.render_accepted),
            *_status_calls(SUPPRESSIONS),
            *_status_calls(UNSUPPRESSIONS),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        DEFAULT_RATES,
        (
            ("POST /api/push-tokens", UPDATE, WRITE, push_tokens.parse_registration, render_accepted),
            ("DELETE /api/push-tokens/{id}", UPDATE, WRITE, push_tokens.parse_removal, push_tokens.render_removal),
            (
                "GET /api/push-tokens/{id}/profile",
                FIND,
                READ,
                push_tokens.parse_profile_search,
                push_tokens.render_profile,
            ),
            (
                "GET /api/push-tokens/{id}/relationships/profile",
                FIND,
                READ,
                push_tokens.parse_profile_search,
                push_tokens.render_profile_id,
            ),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        BULK_RATES,
        (
            ("GET /api/push-tokens", LIST, READ, push_tokens.parse_list, push_tokens.render_list),
            ("GET /api/push-tokens/{id}", FIND, READ, push_tokens.parse_search, push_tokens.render_token),
        ),
    ),
    CallGroup(
        FIRST_REVISION,
        PUSH_RATES,
        (
            ("POST /client/push-tokens", UPDATE, WRITE, push_tokens.parse_client_registration, render_accepted),
            ("POST /client/push-token-unregister", UPDATE, WRITE, push_tokens.parse_unregistration, render_accepted),
        ),
    ),
    CallGroup(
        "2023-12-15",
        BULK_RATES,
        (("POST /api/profile-merge", MERGE, WRITE, merges.parse_merge, merges.render_destination),),
    ),
    CallGroup(
        "2023-01-24",
        PRIVACY_RATES,
        (("POST /api/data-privacy-deletion-jobs", REMOVE, DELETE, deletions.parse_deletion, render_accepted),),
    ),
    *LIST_AND_EVENT_CALLS,
)
"""All calls, by resource."""

_NESTED_POINTERS = {
    f"/{member}": f"/{NESTED}/{member}" for member in ("profile", "match", "subscriptions", "operations", "segments")
}
_NESTED_PATHS = (
    *("/client/subscriptions", "/api/push-tokens", "/client/push-tokens", "/client/push-token-unregister"),
    *("/api/events", "/client/events", "/client/event-bulk-create"),
    *("/api/back-in-stock-subscriptions", "/client/back-in-stock-subscriptions"),
)
_POINTERS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(_NESTED_PATHS, _NESTED_POINTERS),
    "/api/event-bulk-create-jobs": {"/updates": f"/{EVENTS}"},
    "/api/lists/{id}/relationships/profiles": {"/updates": f"/{MEMBERS}"},
}
"""By path: the pointers of calls whose profile is nested in another resource."""


def build_calls(is_lenient: bool) -> tuple[Call, ...]:
    """Return the calls. Lenient ones accept requests without a revision."""
    return tuple(_build_call(group, row, is_lenient) for group in CALL_GROUPS for row in group.rows)


def _build_call(group: CallGroup, row: CallRow, is_lenient: bool) -> Call:
    endpoint, operation, right, parse, render = row
    method, path = endpoint.split()
    return Call(
        method,
        path,
        operation,
        right,
        _with_revision(parse, group.first_revision, is_lenient),
        render,
        shows_profile=render is render_profile,
        max_body_bytes=MAX_BODY_BYTES,
        rates=group.rates,
        pointers=_POINTERS.get(path, {}),
        is_public=path.startswith(PUBLIC_PREFIXES),
    )


RESOURCE_MEMBERS = (
    "data",
    "attributes",
    "relationships",
    "profile",
    "profiles",
    "list",
    "lists",
    "events",
    "events-bulk-create",
    "metric",
    "variant",
)
"""The members of a body that contain resources, or lead to them."""


def _with_revision(
    parse: Callable[[Request], ParsedRequest], first_revision: str, is_lenient: bool
) -> Callable[[Request], ParsedRequest]:
    """Return `parse` with a check of the revision before it. In XML, types and ids may have white space around them.

    The result needs consent where the reply shows the subscriptions of profiles.
    """

    def parse_request(request: Request) -> ParsedRequest:
        check_revision(request, first_revision, is_lenient)
        if not request.is_typed:
            request = replace(request, tree=trim_names(request.tree, RESOURCE_MEMBERS))
        parsed = parse(request)
        context = parsed.context
        if "subscriptions" in context.get("additional", ()) or context.get("sort") == SUPPRESSED:
            return replace(parsed, needs_consent=True)
        return parsed

    return parse_request
