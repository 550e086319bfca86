"""Courier's profile API. XML and JSON bodies have the same trees here."""

from base64 import b64decode
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Document, Update
from gateway.dialects.courier import errors, preferences, tokens
from gateway.dialects.courier.calls import CALLS
from gateway.dialects.courier.client_query import USER_HEADER
from gateway.dialects.courier.fields import FIELDS, type_faults
from gateway.dialects.courier.json_patch import PatchBounds, apply_patch
from gateway.dialects.courier.outgoing import OUTGOING
from gateway.dialects.courier.replies import render_document
from gateway.dialects.courier.requests import replacement_members
from gateway.dialects.courier.rows import FILE_ROWS
from gateway.dialects.outgoing import Outgoing
from gateway.dialects.protocol import (
    CONTENT_TYPES,
    NO_LOCATED_FIELDS,
    Credential,
    FileRows,
    Reply,
    Request,
    RequestNames,
)


class Courier:
    """The dialect. Its bodies have their own size limit. A patched profile has the same bounds as a body."""

    name = "courier"
    prefixes = (
        *("/profiles", "/users", "/lists", "/bulk", "/audiences", "/tenants", "/inbound"),
        *("/client/lists", "/client/q"),  # the others below /client are another vendor's
    )
    slash_merging_prefix = None
    content_types = CONTENT_TYPES
    fields = FIELDS
    reserved_names: Collection[str] = ()
    located_fields = NO_LOCATED_FIELDS
    constraints = "courier"
    file_rows: FileRows | None = FILE_ROWS
    outgoing: Outgoing | None = OUTGOING
    request_names = RequestNames(headers=(USER_HEADER,))

    def __init__(self, max_body_bytes: int, patch_bounds: PatchBounds) -> None:
        self._patch_bounds = patch_bounds
        self.calls = tuple(
            replace(call, max_body_bytes=min(call.max_body_bytes or max_body_bytes, max_body_bytes)) for call in CALLS
        )

    def media_type(self, request: Request) -> str | None:
        """Return the query's `format`. The vendor has no parameter for it: otherwise the headers decide."""
        return request.query.get("format")

    def credential(self, request: Request) -> Credential:
        """Return the API key: a Bearer token (RFC 6750), or the user name of Basic (RFC 7617)."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        parse = _SCHEMES.get(scheme.lower())
        key = parse(value.strip()) if parse else ""
        if not key:
            raise refuse("no_token")
        return Credential(key)

    def resolve_patch(self, document: Document, update: Update) -> Update:
        """Return what a JSON Patch for Courier's view of a document writes. Members outside the view stay unchanged.

        Raises `Refusal`: invalid_patch, invalid_field, unknown_subscription, too_deep, too_many_nodes.
        """
        apply = partial(apply_patch, patch=update["patch"], bounds=self._patch_bounds)
        match update.get("patch_target"):
            case ["tokens", token]:
                return tokens.resolve_patch(document, token, update["patch"], apply)
            case ["removal", token]:
                return tokens.resolve_removal(document, token)
            case ["topics", *tenant]:
                return preferences.resolve_replacement(document, tenant, apply)
        profile = apply(render_document(document))
        if not isinstance(profile, dict):
            raise refuse("invalid_patch", "what it leaves is not an object", "/patch")
        if faults := type_faults(profile):
            raise Refusal(faults)
        return replacement_members(profile)

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        return errors.render_faults(faults)

    def body_pointer(self, pointer: str) -> str:
        """Return the place in a body that a canonical pointer means."""
        return errors.body_pointer(pointer)


def dialect(settings: Mapping[str, Any]) -> Courier:
    """Create the dialect with the limits of the settings."""
    # A profile is one level below the root of its body.
    bounds = PatchBounds(settings.get("max_depth", 32) - 1, settings.get("max_nodes", 10_000))
    return Courier(settings.get("courier_max_body", 6_291_456), bounds)


def _basic_user(credentials: str) -> str:
    """Return the user name of Basic credentials, or "" if they are malformed."""
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[0]
    except ValueError:
        return ""


_SCHEMES: dict[str, Callable[[str], str]] = {"bearer": str, "basic": _basic_user}
