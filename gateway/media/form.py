"""Decodes the parameters of a query and of a form: `application/x-www-form-urlencoded` (WHATWG URL) and
`multipart/form-data` (RFC 7578).

The values are texts. The values of a repeated name are a list. A form has no files, and its parts have no parts.
"""

import re
from urllib.parse import parse_qsl

from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.media.codec import Bounds
from gateway.media.negotiation import media_type

URL_ENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"

_BOUNDARY = re.compile(r';[ \t]*boundary=(?:"([^"]{1,70})"|([^\s";]{1,70}))', re.ASCII | re.IGNORECASE)
_DISPOSITION = re.compile(rb"\r\ncontent-disposition:[ \t]*form-data((?:;[^\r\n]*)?)", re.IGNORECASE)
_NAME = re.compile(rb';[ \t]*name="([^"]*)"', re.IGNORECASE)
_FILE_NAME = re.compile(rb";[ \t]*filename\*?=", re.IGNORECASE)


def is_form(content_type: str | None) -> bool:
    """Return whether a Content-Type is that of a form."""
    parsed = media_type(content_type or "")
    return parsed is not None and parsed.name in (URL_ENCODED, MULTIPART)


def decode_query(text: str, bounds: Bounds) -> dict[str, Tree]:
    """Return the parameters of a query. Raises `Refusal`: malformed_body, too_many_nodes, too_long."""
    if text.count("&") >= bounds.nodes:
        raise bounds.too_many_nodes()
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise _malformed("a parameter is not in UTF-8") from None
    return _grouped(pairs, bounds, len(text))


def decode_form(body: bytes, content_type: str, bounds: Bounds) -> dict[str, Tree]:
    """Return the parameters of a form. Raises `Refusal`: malformed_body, too_many_nodes, too_long."""
    parsed = media_type(content_type)
    if parsed is None or parsed.name != MULTIPART:
        return decode_query(body.decode("latin-1"), bounds)
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise _malformed("its Content-Type has no boundary")
    delimiter = f"\r\n--{boundary[1] or boundary[2]}".encode("latin-1", "replace")
    _, *parts = (b"\r\n" + body).split(delimiter, bounds.nodes + 1)
    if not parts or not parts.pop().startswith(b"--"):
        raise _malformed("it is not a form in parts")
    return _grouped([_field(part) for part in parts], bounds, len(body))


def _field(part: bytes) -> tuple[str, str]:
    """Return the name and the value of a part of a form."""
    head, _, content = part.partition(b"\r\n\r\n")
    disposition = _DISPOSITION.search(head)
    name = disposition and _NAME.search(disposition[1])
    if disposition is None or not name or _FILE_NAME.search(disposition[1]):
        raise _malformed("a part of the form is not a named field")
    try:
        return name[1].replace(b"%22", b'"').decode(), content.decode()
    except UnicodeDecodeError:
        raise _malformed("a field of the form is not in UTF-8") from None


def _grouped(pairs: list[tuple[str, str]], bounds: Bounds, size: int) -> dict[str, Tree]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise _malformed("U+0000 is not allowed in a text")
        values.setdefault(name, []).append(value)
    tree: dict[str, Tree] = {name: found if len(found) > 1 else found[0] for name, found in values.items()}
    bounds.check(tree, size)
    return tree


def _malformed(detail: str) -> Refusal:
    return refuse("malformed_body", detail)
