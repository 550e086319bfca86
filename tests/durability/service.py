"""The gateway as an operator runs it, with two workers: start, kill, start again."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

TOKEN = "gateway-of-the-proofs"
SERVE = (sys.executable, "-m", "gateway", "serve", "--workers", "2")
TIMEOUT_SECONDS = 60.0


class Service:
    """`profile-gateway serve` on one store and one port, or another `command` with further variables."""

    def __init__(
        self,
        store: str,
        log: Path,
        command: Sequence[str] = SERVE,
        environment: Mapping[str, str] = {},  # never written
    ) -> None:
        self._port = port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._log = log
        settings = {"STORE": store, "PORT": str(port), "BOOTSTRAP_TOKEN": TOKEN, "RATE_LIMITS": "0"}
        self._environment = {**os.environ, **{f"GATEWAY_{name}": value for name, value in settings.items()}}
        self._environment.update(environment)

    def start(self) -> float:
        """Start the gateway. Return after how many seconds it is ready."""
        began = time.monotonic()
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > began + TIMEOUT_SECONDS:
                raise RuntimeError(f"the gateway does not start: see {self._log}\n{self._log.read_text()[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=TIMEOUT_SECONDS) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        if self._process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """Kill every process."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it: it completes the requests in flight."""
        self._end(signal.SIGTERM)

    def processes(self) -> list[int]:
        """Return the ids of all its processes."""
        command = ["ps", "-o", "pid=", "-s", str(self._process.pid)]
        return [int(id) for id in subprocess.run(command, capture_output=True, text=True).stdout.split()]

    def _end(self, how: signal.Signals) -> None:
        os.killpg(self._process.pid, how)
        self._process.wait(TIMEOUT_SECONDS)
        while not _is_free(self._port):  # the sockets of a killed worker exist a little longer
            time.sleep(0.005)


def free_port() -> int:
    """Return a port that stays free while the gateway is down: the system assigns none below 32,768 to clients."""
    return next(port for port in iter(lambda: random.randrange(10_000, 30_000), None) if _is_free(port))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
