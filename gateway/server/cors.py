"""CORS (Fetch standard) for the calls that pages of any site may use."""

from collections.abc import Awaitable, Iterable, Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.dialects.protocol import Call

VARY = [(b"vary", b"Origin")]
ALLOW_ANY = [(b"access-control-allow-origin", b"*"), *VARY]


def cors_of(calls: Iterable[Call]) -> list[Middleware]:
    """Return the middleware for the calls of one path; none if pages may use no call."""
    methods = [call.method for call in calls if call.is_public or call.has_cors]
    return [Middleware(CorsMiddleware, methods)] if methods else []


class CorsMiddleware:
    """Adds the headers that let a page of any site read a response.

    Starlette's middleware responds to preflight requests. For others it does the same in more steps.
    """

    def __init__(self, app: ASGIApp, methods: Sequence[str]) -> None:
        self._app = app
        self._preflight = CORSMiddleware(app, allow_origins=["*"], allow_methods=methods, allow_headers=["*"])

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["method"] == "OPTIONS":
            return self._preflight(scope, receive, send)
        added = ALLOW_ANY if b"origin" in dict(scope["headers"]) else VARY

        def send_with_headers(event: Message) -> Awaitable[None]:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], *added]
            return send(event)

        return self._app(scope, receive, send_with_headers)
