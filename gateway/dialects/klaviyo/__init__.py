"""Klaviyo's profile APIs. XML and JSON bodies have the same trees here."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, refuse
from gateway.core.model import Document, Update
from gateway.dialects.klaviyo import errors
from gateway.dialects.klaviyo.calls import PUBLIC_PREFIXES, build_calls
from gateway.dialects.klaviyo.fields import FIELDS
from gateway.dialects.klaviyo.outgoing import OUTGOING
from gateway.dialects.klaviyo.rows import FILE_ROWS
from gateway.dialects.outgoing import Outgoing
from gateway.dialects.protocol import NO_LOCATED_FIELDS, Credential, FileRows, Reply, Request, RequestNames


class Klaviyo:
    """The dialect. A lenient one accepts requests without a revision."""

    name = "klaviyo"
    prefixes = ("/api", "/client", "/onsite")
    slash_merging_prefix = None
    content_types: Mapping[str, str] = {"json": "application/vnd.api+json", "xml": "application/xml"}
    fields = FIELDS
    reserved_names: Collection[str] = ()
    located_fields = NO_LOCATED_FIELDS
    constraints = "klaviyo"
    file_rows: FileRows | None = FILE_ROWS
    outgoing: Outgoing | None = OUTGOING
    request_names = RequestNames(headers=("revision",))

    def __init__(self, is_lenient: bool) -> None:
        self.calls = build_calls(is_lenient)

    def media_type(self, _request: Request) -> str | None:
        """Return None: this vendor has no parameter for it, so that the headers decide."""
        return None

    def credential(self, request: Request) -> Credential:
        """Return the company id of the client endpoints, and the private key of all others."""
        if request.target.startswith(PUBLIC_PREFIXES):
            if not request.query.get("company_id"):
                raise refuse("missing_parameter", "The company_id is required.", "/parameter/company_id")
            return Credential(company=request.query["company_id"])
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("klaviyo-api-key", "bearer") or not secret.strip():
            raise refuse("no_token")
        return Credential(secret.strip())

    def resolve_patch(self, _document: Document, _update: Update) -> Update:
        """Raise `Refusal`: this vendor has no call with a JSON Patch."""
        raise refuse("invalid_patch")

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        """Render the errors of a rejected request."""
        return errors.render_faults(faults)

    def body_pointer(self, pointer: str) -> str:
        """Return the place in a body that a canonical pointer means."""
        return errors.body_pointer(pointer)


def dialect(settings: Mapping[str, Any]) -> Klaviyo:
    """Create the dialect with the check of revisions that the settings require."""
    return Klaviyo(bool(settings.get("klaviyo_lenient_revision", False)))
