"""uvicorn's processes, and what they lack when they stop. Knows nothing of what they serve.

- uvicorn closes its socket at once: who has connected, but was not accepted yet, is reset. Here no connection begins
  from then on, and those that wait are accepted and answered before the socket is closed.
- Of several workers the parent holds that socket too, until the last of them is gone. It closes it first here: who
  connects in vain is told at once.
- Workers whose parent was killed would serve for ever, and hold its port. Here they stop.
"""

import asyncio
import ctypes
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess, multiprocess

LAST = 0.25
"""Seconds in which connections that have begun are still accepted."""

SO_ATTACH_FILTER = 26
BEGINS_NOTHING = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
"""A packet filter (Linux, networking/filter): byte 13 of TCP's header has the flags; SYN without ACK is dropped."""


def serve(config: Config) -> None:
    """Serves until SIGTERM or SIGINT, in this process or in as many workers as the configuration says."""
    if config.workers > 1:
        return Workers(config, [config.bind_socket()]).run()
    server = Alone(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
    return None


class Leaving(Server):
    """As uvicorn's, but it accepts what waits before it stops listening."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once, to stop."""
        await asyncio.sleep(LAST)
        await super().shutdown(sockets)


class Alone(Leaving):
    """The only process."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once, to stop."""
        let_none_begin(listening for server in self.servers for listening in server.sockets)
        await super().shutdown(sockets)


class Worker(multiprocess.Process):
    """One of several processes, which stops when its parent is gone."""

    @property
    def server(self) -> Server:
        """As uvicorn's."""
        if self._server is None:
            self._server = Leaving(self.config)
        return self._server

    def always_pong(self) -> None:
        """Answers the parent's pings, in a thread of the worker, as long as there is a parent."""
        self.parent_conn.close()  # a copy, which would keep the pipe open beyond the parent's end
        with suppress(EOFError, OSError):
            super().always_pong()
        os.kill(os.getpid(), signal.SIGTERM)


multiprocess.Process = Worker  # type: ignore[misc]  # there is no other way to tell uvicorn of it


class Workers(Multiprocess):
    """As uvicorn's, but no connection begins once it is told to stop, and it stops listening before its workers do."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def terminate_all(self) -> None:
        """Called once, to stop."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        # At once: uvicorn looks at its signals twice a second, and its workers may have got this one too.
        let_none_begin(self.sockets)
        self.signal_queue.append(number)


def let_none_begin(sockets: Iterable[socket.socket]) -> None:
    """Drops what begins a connection: the client tries again a second later, and meets the next process or nobody.

    The socket is that of every process which has inherited it. Where there is no such filter, nothing happens.
    """
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in BEGINS_NOTHING))
    program = struct.pack("HP", len(BEGINS_NOTHING), ctypes.addressof(instructions))
    for listening in sockets if sys.platform == "linux" else ():
        if listening.fileno() < 0:  # closed: told to stop a second time
            continue
        with socket.socket(fileno=os.dup(listening.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
