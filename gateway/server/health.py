"""Health checks: /healthz for the process, /readyz for its store."""

import logging

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.stores.errors import Unavailable, Unusable
from gateway.stores.protocol import Store

OK = "ok"

log = logging.getLogger("gateway")


def health_routes() -> list[Route]:
    """Return the routes of both checks."""
    return [Route("/healthz", _live), Route("/readyz", _ready)]


async def _live(_request: Request) -> JSONResponse:
    return JSONResponse({"status": OK})


async def _ready(request: Request) -> JSONResponse:
    state = request.app.state
    status = await _status(state.store)
    if status not in (OK, getattr(state, "status", OK)):
        log.error("not ready: %s", status)
    state.status = status
    return JSONResponse({"status": status}, 200 if status == OK else 503)


async def _status(store: Store) -> str:
    try:
        await store.ready()
    except Unusable as reason:
        return str(reason)
    except Unavailable:
        return "the store does not answer"
    return OK
