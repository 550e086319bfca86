"""Health checks: /healthz for the process, /readyz for its store."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store


def health_routes() -> list[Route]:
    """Return the routes of both checks."""
    return [Route("/healthz", _live), Route("/readyz", _ready)]


async def _live(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> JSONResponse:
    store: Store = request.app.state.store
    try:
        await store.ready()
    except Unavailable:
        return JSONResponse({"status": "the store does not answer"}, 503)
    return JSONResponse({"status": "ok"})
