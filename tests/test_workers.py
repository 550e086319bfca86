"""Several processes on one socket: a stop leaves no connection waiting."""

import socket
import sys
from typing import Any

import pytest

from gateway.server.syn_filter import reject_new_connections
from gateway.server.workers import Workers


def test_the_parent_stops_listening_before_its_workers_do() -> None:
    class Process:
        def terminate(self) -> None:
            listened.append(listening.fileno() >= 0)

    listened: list[bool] = []
    listening = socket.create_server(("127.0.0.1", 0))
    workers: Any = Workers.__new__(Workers)  # its own start takes over the signals of this process
    workers.sockets, workers.processes = [listening], [Process(), Process()]
    workers.terminate_all()
    assert listened == [False, False]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such filter")
def test_the_filter_keeps_open_connections_and_rejects_new_ones() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as first,
    ):
        closed = socket.socket()
        closed.close()
        reject_new_connections([closed, listening])
        with pytest.raises(TimeoutError):
            socket.create_connection(listening.getsockname(), timeout=0.2)
        accepted, _ = listening.accept()
        with accepted:
            first.sendall(b"more")
            assert accepted.recv(4) == b"more"
