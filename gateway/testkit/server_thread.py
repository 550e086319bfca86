"""A real server in this process: uvicorn in a thread. Its application can be replaced while it runs."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from gateway.server.connection_limits import ConnectionLimits
from gateway.server.http1 import Http1Connections

T = TypeVar("T")


class ServerThread:
    """uvicorn on a real socket; its application can be replaced while it runs."""

    def __init__(self, limits: ConnectionLimits = ConnectionLimits(), pause: float = 1.0) -> None:  # noqa: B008
        self._loop = uvloop.new_event_loop()  # as in production; asyncio does not set TCP_NODELAY on such a socket
        self._app: Starlette | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        protocols: Any = Http1Connections(limits, pause)
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            http=protocols,
            proxy_headers=False,
            access_log=False,
            log_level="error",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        while not self._server.started:
            threading.Event().wait(0.005)

    @contextmanager
    def serving(self, app: Starlette) -> Iterator[None]:
        """Serve an application until the context ends."""
        context = app.router.lifespan_context(app)
        self.run(context.__aenter__())
        self._app = app
        try:
            yield
        finally:
            self.run(context.__aexit__(None, None, None))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop of the server and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def close(self) -> None:
        """Stop the server."""
        self._server.should_exit = True
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve([self._socket]))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None
        await self._app(scope, receive, send)
