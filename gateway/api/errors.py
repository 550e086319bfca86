"""Faults as problem details (RFC 9457)."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import CATALOG, Fault, Refusal
from gateway.dialects.protocol import Reply
from gateway.feed.cursors import ExpiredCursor, json_position
from gateway.media import Codec
from gateway.service.rate_limits import RateLimitExceeded

CONTENT_TYPES = {"json": "application/problem+json", "xml": "application/problem+xml"}

_STATUSES = {"unknown_token": 401}
"""The status by fault code, where it differs from the catalog's (RFC 6750, 3.1)."""

_HEADERS = {
    "no_token": {"www-authenticate": "Bearer"},
    "unknown_token": {"www-authenticate": 'Bearer error="invalid_token"'},
    "store_unavailable": {"retry-after": "1"},
}
"""Headers by fault code. During an outage of the store, a request has waited itself."""

_XML_ROOT, _XML_END = b"<xml>", b"</xml>"


def render_problem(refusal: Refusal) -> Reply:
    """Render the first fault of a refusal. An expired cursor has the oldest position that is kept as `oldest`."""
    fault = refusal.faults[0]
    status = _STATUSES.get(fault.code, fault.status)
    problem: dict[str, Any] = {
        "type": f"urn:profile-gateway:{fault.code}",
        "title": CATALOG[fault.code].text,
        "status": status,
    }
    if fault.detail:
        problem["detail"] = fault.detail
    if fault.pointer:
        problem["pointer"] = fault.pointer
    if isinstance(refusal, ExpiredCursor):
        problem["oldest"] = json_position(refusal.oldest)
    return Reply(status, problem, _headers(fault, refusal))


def encode_problem(problem: Mapping[str, Any], codec: Codec) -> bytes:
    """Encode a problem. Its root in XML is `problem` in the namespace of RFC 9457, B."""
    body = codec.encode(problem)
    if codec.name != "xml":
        return body
    start, _, members = body.partition(_XML_ROOT)
    return start + b'<problem xmlns="urn:ietf:rfc:7807">' + members.removesuffix(_XML_END) + b"</problem>"


def _headers(fault: Fault, refusal: Refusal) -> Mapping[str, str]:
    if isinstance(refusal, RateLimitExceeded):
        return {"retry-after": str(refusal.pause)}
    return _HEADERS.get(fault.code, {})
