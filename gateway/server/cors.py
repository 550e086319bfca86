"""CORS (Fetch standard) for the calls that pages of any site may use."""

from collections.abc import Iterable

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gateway.dialects.protocol import Call


def cors_of(calls: Iterable[Call]) -> list[Middleware]:
    """Return the middleware for the calls of one path; none if no call is public."""
    methods = [call.method for call in calls if call.is_public]
    if not methods:
        return []
    return [Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=methods, allow_headers=["*"])]
