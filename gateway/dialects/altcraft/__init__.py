"""Altcraft's profile API, v1.1. XML and JSON bodies have the same trees here."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, refuse
from gateway.core.model import Document
from gateway.dialects.altcraft import errors
from gateway.dialects.altcraft.calls import CALLS, ROOT
from gateway.dialects.altcraft.fields import FIELDS, LOCATED_FIELDS, RESERVED_NAMES
from gateway.dialects.altcraft.parameters import strip_text
from gateway.dialects.protocol import CONTENT_TYPES, Credential, Reply, Request


class Altcraft:
    """The dialect. With `always_200` every reply has status 200, and only `error` reports the outcome."""

    name = "altcraft"
    prefixes = (ROOT, "/api/v1.0", "/api/integrations")
    slash_merging_prefix = ROOT
    content_types = CONTENT_TYPES
    fields = FIELDS
    reserved_names = RESERVED_NAMES
    located_fields = LOCATED_FIELDS
    constraints = "altcraft"
    calls = CALLS

    def __init__(self, always_200: bool) -> None:
        self._always_200 = always_200

    def media_type(self, request: Request) -> str | None:
        """Return the `format` parameter of the query, or else of the body. An empty one in the body is ignored."""
        member = strip_text(_member(request.tree, "format"))
        values = (request.query.get("format"), None if member == "" else member)
        formats = [value for value in values if value is not None]
        if not all(value in ("json", "xml") for value in formats):
            raise refuse("invalid_parameter", "it must be json or xml", "/format")
        return formats[0] if formats else None

    def credential(self, request: Request) -> Credential:
        """Return the token of the body, or else a Bearer token (RFC 6750), or else the token of the query."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        bearer = bearer if scheme.lower() == "bearer" else ""
        for token in (_member(request.tree, "token"), bearer, request.query.get("token")):
            if not isinstance(token, str | None):
                raise refuse("invalid_parameter", "it must be a string", "/token")
            if token and token.strip():
                return Credential(token.strip())
        raise refuse("no_token")

    def apply_patch(self, _document: Document, _patch: Sequence[Any]) -> Document:
        """Raise `Refusal`: this vendor has no call with a JSON Patch."""
        raise refuse("invalid_patch")

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        return errors.render_faults(faults, self._always_200)


def dialect(settings: Mapping[str, Any]) -> Altcraft:
    """Create the dialect with the statuses that the settings require."""
    return Altcraft(bool(settings.get("altcraft_always_200", False)))


def _member(tree: Any, name: str) -> Any:
    return tree.get(name) if isinstance(tree, dict) else None
