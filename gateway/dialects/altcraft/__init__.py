"""Altcraft's profile API, v1.1. XML and JSON bodies have the same trees here."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, refuse
from gateway.core.model import Document, Update
from gateway.dialects.altcraft import errors
from gateway.dialects.altcraft.calls import APP_PREFIXES, CALLS, ROOT
from gateway.dialects.altcraft.credentials import secret_credential
from gateway.dialects.altcraft.fields import FIELDS, LOCATED_FIELDS, RESERVED_NAMES
from gateway.dialects.altcraft.outgoing import OUTGOING
from gateway.dialects.altcraft.parameters import XML_SPACE
from gateway.dialects.altcraft.rows import FILE_ROWS
from gateway.dialects.outgoing import Outgoing
from gateway.dialects.protocol import CONTENT_TYPES, FileRows, Reply, Request, RequestNames

REQUEST_NAMES = RequestNames(
    credentials=("token",),
    headers=("referer",),
    impersonal=(
        "db_id",
        "resource_id",
        "segment_id",
        "trigger_id",
        "workflow_id",
        "add_to_segments",
        "remove_from_segments",
    ),
)


class Altcraft:
    """The dialect. With `always_200` every reply has status 200, and only `error` reports the outcome."""

    name = "altcraft"
    prefixes = (ROOT, "/api/v1.0", "/api/integrations", *APP_PREFIXES)
    slash_merging_prefix = ROOT
    content_types = CONTENT_TYPES
    fields = FIELDS
    reserved_names = RESERVED_NAMES
    located_fields = LOCATED_FIELDS
    constraints = "altcraft"
    calls = CALLS
    file_rows: FileRows | None = FILE_ROWS
    outgoing: Outgoing | None = OUTGOING
    request_names = REQUEST_NAMES

    credential = staticmethod(secret_credential)

    def __init__(self, always_200: bool) -> None:
        self._always_200 = always_200

    def media_type(self, request: Request) -> str | None:
        """Return the `format` parameter of the query, or else of the body. An empty one in the body is ignored."""
        tree = request.tree
        member = tree.get("format") if isinstance(tree, dict) else None
        if isinstance(member, str):
            member = member.strip(XML_SPACE) or None
        format = request.query.get("format")
        for value in (format, member):
            if value is not None and value not in ("json", "xml"):
                raise refuse("invalid_parameter", "it must be json or xml", "/format")
        return member if format is None else format

    def resolve_patch(self, _document: Document, _update: Update) -> Update:
        """Raise `Refusal`: this vendor has no call with a JSON Patch."""
        raise refuse("invalid_patch")

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        return errors.render_faults(faults, self._always_200)

    def body_pointer(self, pointer: str) -> str:
        """Return the place in a body that a canonical pointer means."""
        return errors.body_pointer(pointer)


def dialect(settings: Mapping[str, Any]) -> Altcraft:
    """Create the dialect with the statuses that the settings require."""
    return Altcraft(bool(settings.get("altcraft_always_200", False)))
