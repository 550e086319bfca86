"""Several processes on one socket: when they stop, nobody is left waiting in it."""

import socket
from typing import Any

from gateway.workers import Workers


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
