"""The floor: a Starlette application that reads the body and answers a constant as long as the gateway's reply.

No service that speaks HTTP through Starlette and uvicorn can be faster than this; it does nothing else.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

REPLIES = {
    "json": b'{"error":0,"error_text":"Successful operation","profile_id":"54759eb3c090d83494e2d804"}',
    "xml": (
        b'<?xml version="1.0" encoding="utf-8"?>\n<xml><error>0</error><error_text>Successful operation</error_text>'
        b"<profile_id>54759eb3c090d83494e2d804</profile_id></xml>"
    ),
}


def application(media: str) -> Starlette:
    """The application that answers in one media type."""

    async def update(request: Request) -> Response:
        await request.body()
        return Response(REPLIES[media], media_type=f"application/{media}")

    return Starlette(routes=[Route("/api/v1.1/profiles/update/", update, methods=["POST"])])


json = application("json")
xml = application("xml")
