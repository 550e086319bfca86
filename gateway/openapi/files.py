"""The published files by path: OpenAPI, XML Schemas, JSON Schemas and the reference page.

They are generated from `schemas/`, the calls of the dialects and the catalog of faults.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from gateway.dialects.protocol import Dialect
from gateway.openapi import viewer
from gateway.openapi.document import openapi
from gateway.openapi.xsd import xsd
from gateway.schema.files import FOLDER

PATHS = ("openapi.json", "schemas/{name}", "docs", "docs/{name}")
"""The paths at which they are served."""

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
"""The media type by the end of a path; the first match counts."""


def contracts(dialects: Sequence[Dialect]) -> Mapping[str, bytes]:
    """Return every description by its path, such as `openapi.json`; the same bytes for the same dialects."""
    document = openapi(dialects, schema, version("profile-gateway"))
    return {"openapi.json": _json(document), **_json_schemas(), **_xml_schemas(document)}


def site(dialects: Sequence[Dialect]) -> Mapping[str, bytes]:
    """Return the descriptions and the reference page."""
    return {**contracts(dialects), **viewer.viewer_files()}


def headers(path: str) -> dict[str, str]:
    """Return the headers of a file. They forbid other media types and other hosts."""
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
    """Return a file of `schemas/` by its name without `.json`. Callers must not change it."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def _json_schemas() -> dict[str, bytes]:
    found = (file for file in FOLDER.iterdir() if file.name.endswith(".schema.json"))
    return {f"schemas/{file.name}": file.read_bytes() for file in sorted(found, key=lambda file: file.name)}


def _xml_schemas(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Return an XML Schema for each body that a media type of the document refers to."""
    schemas = document["components"]["schemas"]
    return {
        path: xsd(path.removeprefix("schemas/").removesuffix(".xsd"), schemas) for path in sorted(_find_paths(document))
    }


def _find_paths(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value.get("x-xsd", ()), *(name for member in value.values() for name in _find_paths(member))}
    return {name for member in value for name in _find_paths(member)} if isinstance(value, list) else set()


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
