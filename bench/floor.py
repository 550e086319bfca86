"""The floor: a Starlette application that reads the body and returns a constant as long as the gateway's response.

No service that speaks HTTP through Starlette and uvicorn can be faster: it does nothing else.
"""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LENGTHS = {
    "json": {
        ("POST", "/api/v1.1/profiles/update/", 200): 87,
        ("POST", "/api/v1.1/profiles/import/", 200): 87,
        ("POST", "/api/v1.1/profiles/get/", 200): 2208,
        ("POST", "/profiles/{id}", 200): 20,
        ("GET", "/profiles/{id}", 200): 449,
        ("POST", "/api/profile-import", 200): 1411,
        ("POST", "/client/profiles", 202): 0,
    },
    "xml": {
        ("POST", "/api/v1.1/profiles/update/", 200): 160,
        ("POST", "/api/v1.1/profiles/import/", 200): 160,
    },
}
"""By media type: method, path, status and number of bytes of the gateway's response."""


def application(media: str) -> Starlette:
    """The application that responds in one media type."""
    return Starlette(
        routes=[
            Route(path, respond(media, status, length), methods=[method])
            for (method, path, status), length in LENGTHS[media].items()
        ]
    )


def respond(media: str, status: int, length: int) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that returns a body of this length."""
    body = b" " * length

    async def endpoint(request: Request) -> Response:
        await request.body()
        return Response(body, status, media_type=f"application/{media}")

    return endpoint


json = application("json")
xml = application("xml")
