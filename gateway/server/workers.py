"""The processes of uvicorn, and a graceful stop. Independent of the application.

- uvicorn closes its socket at once, which resets connections that wait to be accepted. Here new connections are
  rejected first, and waiting ones are accepted and get a response.
- With several workers the parent process holds the socket until the last worker ends. Here it closes the socket first,
  so that the kernel refuses new connections at once.
- Workers without a parent (killed with SIGKILL) would keep the port forever. Here they stop.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess, multiprocess

from gateway.server.syn_filter import reject_new_connections

ACCEPT_SECONDS = 0.25
"""Time in which connections that have begun are still accepted after a stop."""


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, in this process or in the number of workers of the configuration."""
    if config.workers > 1:
        return Workers(config, [config.bind_socket()]).run()
    server = SingleServer(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
    return None


class GracefulServer(Server):
    """A server that accepts waiting connections before it stops listening, and reloads settings on SIGHUP."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start. Called once."""
        await super().startup(sockets)
        if reload := self.lifespan.state.get("reload"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop. Called once. Requests that wait for an event are answered at once, and streams end."""
        stop_waiting = self.lifespan.state.get("stop_waiting")
        if stop_waiting:
            stop_waiting()
        await asyncio.sleep(ACCEPT_SECONDS)
        await super().shutdown(sockets)


class SingleServer(GracefulServer):
    """The server of a single process."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop. Called once."""
        reject_new_connections(listening for server in self.servers for listening in server.sockets)
        await super().shutdown(sockets)


class Worker(multiprocess.Process):
    """One of several processes. It stops when its parent is gone."""

    @property
    def server(self) -> Server:
        """The server of this process, created on first use."""
        if self._server is None:
            self._server = GracefulServer(self.config)
        return self._server

    def always_pong(self) -> None:
        """Reply to the pings of the parent process until it ends. Runs in a thread of the worker."""
        self.parent_conn.close()  # a copy, which would keep the pipe open beyond the parent's end
        with suppress(EOFError, OSError):
            super().always_pong()
        os.kill(os.getpid(), signal.SIGTERM)


multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn has no setting for it


class Workers(Multiprocess):
    """The parent of several workers. On a stop it rejects new connections and closes the socket before they end."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def terminate_all(self) -> None:
        """Stop the workers. Called once."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        """Let each worker reload its settings. uvicorn would replace the workers."""
        for process in self.processes:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        # At once: uvicorn polls its signals twice a second, and the workers may have received this one too.
        reject_new_connections(self.sockets)
        self.signal_queue.append(number)
