"""Klaviyo's profile APIs: which calls there are, since when, how often, and by what right. One profile is one resource.

The vendor's shapes are in the files beside this one; XML and JSON say the same here, and nothing of either is known.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.core.faults import Fault, refuse
from gateway.core.model import DELETE, READ, WRITE, Document
from gateway.dialects.klaviyo import errors, jobs, lists, push_tokens, replies, requests, subscriptions, suppressions
from gateway.dialects.klaviyo.fields import FIELDS
from gateway.dialects.klaviyo.jsonapi import filters
from gateway.dialects.klaviyo.revisions import FIRST, revised
from gateway.dialects.protocol import (
    ATOMIC,
    FIND,
    IMPORT,
    JOB,
    JOB_PROFILES,
    JOBS,
    LIST,
    MERGE,
    NO_LOCATED_FIELDS,
    REMOVE,
    UPDATE,
    Call,
    Credential,
    ParsedRequest,
    Reply,
    Request,
    Result,
)

LARGEST_BODY = 5_000_000
"""Bytes."""

CLIENT = ("350/second", "3500/minute")
_INNER = {
    "/profile/email": "/data/attributes/profile/data/attributes/email",
    "/profile/phone_numbers": "/data/attributes/profile/data/attributes/phone_number",
    "/match/values/email": "/data/attributes/profile/data/attributes/email",
    "/match/values/phone": "/data/attributes/profile/data/attributes/phone_number",
}
NAMED = {
    "/client/subscriptions": {**_INNER, "/subscriptions": "/data/attributes/profile/data/attributes/subscriptions"},
    **dict.fromkeys(("/api/push-tokens", "/client/push-tokens"), _INNER),
}
"""Where a fault is, of calls whose profile does not stand at `/data`."""

FORMS = ("350/second", "750/minute")
PUSH = ("150/second", "1400/minute")
USUAL = ("75/second", "750/minute")
BULK = ("10/second", "150/minute")
PRIVACY = ("3/second", "60/minute")


class Klaviyo:
    """The dialect. Where it is `lenient`, a request may leave the revision out."""

    name = "klaviyo"
    prefixes = ("/api/", "/client/")
    content_types: Mapping[str, str] = {"json": "application/vnd.api+json", "xml": "application/xml"}
    fields = FIELDS
    located_fields = NO_LOCATED_FIELDS
    constraints = "klaviyo"

    def __init__(self, lenient: bool) -> None:
        self._lenient = lenient
        self.calls = tuple(self._call(*row) for row in CALLS)

    def _call(
        self,
        method_and_path: str,
        since: str,
        operation: str,
        right: str,
        rates: Sequence[str],
        parse: Callable[[Request], ParsedRequest],
        render: Callable[[Result], Reply],
    ) -> Call:
        method, path = method_and_path.split()
        parse = revised(parse, since, self._lenient)
        is_public = path.startswith("/client/")
        return Call(
            method,
            path,
            operation,
            right,
            parse,
            render,
            max_body_bytes=LARGEST_BODY,
            rates=rates,
            pointers=NAMED.get(path, {}),
            is_public=is_public,
        )

    def media_type(self, _incoming: Request) -> str | None:
        """This vendor has no word of its own for it: Accept decides."""
        return None

    def credential(self, incoming: Request) -> Credential:
        """The company id of the client endpoints, the private key of all others."""
        if incoming.target.startswith("/client/"):
            if not incoming.query.get("company_id"):
                raise refuse("missing_parameter", "The company_id is required.", "/parameter/company_id")
            return Credential(company=incoming.query["company_id"])
        scheme, _, secret = incoming.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("klaviyo-api-key", "bearer") or not secret.strip():
            raise refuse("no_token")
        return Credential(secret.strip())

    def apply_patch(self, _document: Document, _patch: Sequence[Any]) -> Document:
        """This vendor has no call that takes a JSON Patch."""
        raise refuse("invalid_patch")

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        """Every fault, in JSON:API's envelope."""
        return Reply(errors.status(faults), errors.envelope(faults))


def dialect(settings: Mapping[str, Any]) -> Klaviyo:
    return Klaviyo(bool(settings.get("klaviyo_lenient_revision", False)))


Row: TypeAlias = (
    "tuple[str, str, str, str, Sequence[str], Callable[[Request], ParsedRequest], Callable[[Result], Reply]]"
)
"""Method and path, the vendor's first revision with it, operation, right, rates, parse, render."""


def _jobs(kind: jobs.Kind, since: str, rates: Sequence[str]) -> tuple[Row, Row]:
    """The calls that find jobs of a kind."""
    return (
        (f"GET {kind.path}", since, JOBS, READ, rates, filters.jobs(kind), jobs.jobs(kind)),
        (f"GET {kind.path}/{{id}}", since, JOB, READ, rates, filters.job(kind), jobs.job(kind)),
    )


CALLS: tuple[Row, ...] = (
    ("POST /client/profiles", FIRST, UPDATE, WRITE, CLIENT, requests.client, replies.accepted),
    ("POST /api/profiles", FIRST, UPDATE, WRITE, USUAL, requests.create, replies.one),
    ("GET /api/profiles", FIRST, LIST, READ, USUAL, filters.profiles, replies.many),
    ("GET /api/profiles/{id}", FIRST, FIND, READ, USUAL, filters.one, replies.one),
    ("PATCH /api/profiles/{id}", FIRST, UPDATE, WRITE, USUAL, requests.patch, replies.one),
    *(
        (f"GET /api/profiles/{{id}}/{name}", FIRST, FIND, READ, USUAL, filters.related, lists.related(name))
        for name in lists.TYPES
    ),
    *(
        (f"GET /api/profiles/{{id}}/relationships/{name}", FIRST, FIND, READ, USUAL, filters.related, write)
        for name, write in ((name, lists.identified(name)) for name in lists.TYPES)
    ),
    (
        "GET /api/profiles/{id}/push-tokens",
        FIRST,
        FIND,
        READ,
        USUAL,
        push_tokens.of_profile,
        push_tokens.shown_of_profile,
    ),
    (
        "GET /api/profiles/{id}/relationships/push-tokens",
        FIRST,
        FIND,
        READ,
        USUAL,
        filters.related,
        push_tokens.ids_of_profile,
    ),
    ("POST /api/profile-import", "2024-02-15", UPDATE, WRITE, USUAL, requests.upsert, replies.one),
    (f"POST {jobs.IMPORTS.path}", "2023-10-15", IMPORT, WRITE, BULK, requests.bulk, jobs.spawned(jobs.IMPORTS)),
    *_jobs(jobs.IMPORTS, "2023-10-15", BULK),
    *(
        (f"GET {jobs.IMPORTS.path}/{{id}}/{name}", "2023-10-15", verb, READ, BULK, filters.job(jobs.IMPORTS), write)
        for name, verb, write in (
            ("import-errors", JOB, jobs.errors),
            ("profiles", JOB_PROFILES, jobs.profiles),
            ("relationships/profiles", JOB, jobs.profile_ids),
            ("lists", JOB, jobs.lists),
            ("relationships/lists", JOB, jobs.list_ids),
        )
    ),
    ("POST /client/subscriptions", FIRST, UPDATE, WRITE, FORMS, subscriptions.client, replies.accepted),
    *(
        (f"POST /api/profile-{name}", since, ATOMIC, WRITE, USUAL, read, replies.accepted)
        for name, since, read in (
            ("subscription-bulk-create-jobs", FIRST, subscriptions.subscription),
            ("subscription-bulk-delete-jobs", "2023-09-15", subscriptions.unsubscription),
            ("unsubscription-bulk-create-jobs", FIRST, subscriptions.old_unsubscription),
        )
    ),
    *(
        (f"POST /api/profile-{name}", since, IMPORT, WRITE, USUAL, read, jobs.spawned(kind))
        for name, since, read, kind in (
            ("suppression-bulk-create-jobs", FIRST, suppressions.suppression, jobs.SUPPRESSIONS),
            ("suppression-bulk-delete-jobs", "2023-09-15", suppressions.unsuppression, jobs.UNSUPPRESSIONS),
            ("unsuppression-bulk-create-jobs", FIRST, suppressions.old_unsuppression, jobs.UNSUPPRESSIONS),
        )
    ),
    *_jobs(jobs.SUPPRESSIONS, "2023-09-15", USUAL),
    *_jobs(jobs.UNSUPPRESSIONS, "2023-09-15", USUAL),
    ("POST /api/push-tokens", FIRST, UPDATE, WRITE, USUAL, push_tokens.registration, replies.accepted),
    ("GET /api/push-tokens", FIRST, LIST, READ, BULK, push_tokens.many, push_tokens.shown_many),
    ("GET /api/push-tokens/{id}", FIRST, FIND, READ, BULK, push_tokens.one, push_tokens.shown),
    ("DELETE /api/push-tokens/{id}", FIRST, UPDATE, WRITE, USUAL, push_tokens.removal, push_tokens.removed),
    ("GET /api/push-tokens/{id}/profile", FIRST, FIND, READ, USUAL, push_tokens.one, push_tokens.profile),
    (
        "GET /api/push-tokens/{id}/relationships/profile",
        FIRST,
        FIND,
        READ,
        USUAL,
        push_tokens.one,
        push_tokens.profile_id,
    ),
    ("POST /client/push-tokens", FIRST, UPDATE, WRITE, PUSH, push_tokens.client, replies.accepted),
    ("POST /client/push-token-unregister", FIRST, UPDATE, WRITE, PUSH, push_tokens.unregistration, replies.accepted),
    ("POST /api/profile-merge", "2023-12-15", MERGE, WRITE, BULK, requests.merge, replies.merged),
    (
        "POST /api/data-privacy-deletion-jobs",
        "2023-01-24",
        REMOVE,
        DELETE,
        PRIVACY,
        requests.deletion,
        replies.accepted,
    ),
)
