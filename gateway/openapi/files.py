"""The published contracts: OpenAPI, XML Schemas and JSON Schemas, and the page that shows them, by their paths.

All of it is derived from `schemas/`, the dialects' calls and the catalog of faults; nothing of requests is known here.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from gateway.dialects.protocol import Dialect
from gateway.openapi import viewer
from gateway.openapi.document import openapi
from gateway.openapi.xsd import xsd

PATHS = ("openapi.json", "schemas/{name}", "docs", "docs/{name}")
"""Where they are served."""

MOVED = {
    "schemas/rehearsal.schema.json": "schemas/dry-run.schema.json",
    "schemas/Rehearsal.xsd": "schemas/DryRun.xsd",
}
"""Paths of older versions, and the paths that replace them."""

MEDIA_TYPES = {
    ".schema.json": "application/schema+json",
    ".json": "application/json",
    ".xsd": "application/xml",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
    "docs": "text/html; charset=utf-8",
}
"""By the end of a path; the first that fits."""


def contracts(spoken: Sequence[Dialect]) -> Mapping[str, bytes]:
    """Every contract by its path, such as `openapi.json`; the same bytes for the same dialects."""
    document = openapi(spoken, schema, version("profile-gateway"))
    return {"openapi.json": _json(document), **_json_schemas(), **_xml_schemas(document)}


def site(spoken: Sequence[Dialect]) -> Mapping[str, bytes]:
    """The contracts, and the reference page over them."""
    return {**contracts(spoken), **viewer.page()}


def headers(path: str) -> dict[str, str]:
    """What one of these files is sent with. Nothing is to be read as another type, or from another host."""
    media_type = next(media_type for end, media_type in MEDIA_TYPES.items() if path.endswith(end))
    return {
        "content-type": media_type,
        "content-security-policy": viewer.POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }


@cache
def schema(name: str) -> dict[str, Any]:
    """A file of `schemas/`, by its name without `.json`; not to be changed."""
    found: dict[str, Any] = json.loads((files("gateway") / "schemas" / f"{name}.json").read_text())
    return found


def _json_schemas() -> dict[str, bytes]:
    found = (file for file in (files("gateway") / "schemas").iterdir() if file.name.endswith(".schema.json"))
    return {f"schemas/{file.name}": file.read_bytes() for file in sorted(found, key=lambda file: file.name)}


def _xml_schemas(document: Mapping[str, Any]) -> dict[str, bytes]:
    """One for each body that a media type of the document names."""
    schemas = document["components"]["schemas"]
    return {path: xsd(path.removeprefix("schemas/").removesuffix(".xsd"), schemas) for path in sorted(_named(document))}


def _named(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value.get("x-xsd", ()), *(name for member in value.values() for name in _named(member))}
    return {name for member in value for name in _named(member)} if isinstance(value, list) else set()


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
