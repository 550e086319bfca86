"""The gateway as it is run, with two workers: started, killed, started again. Asserts nothing."""

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
PATIENCE = 60.0


class Service:
    """`profile-gateway serve` on one store and one port. `command` runs it otherwise, `environment` tells it more."""

    def __init__(
        self,
        store: str,
        log: Path,
        command: Sequence[str] = SERVE,
        environment: Mapping[str, str] = {},  # never written
    ) -> None:
        self._port = port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._log = log
        settings = {"STORE": store, "PORT": str(port), "BOOTSTRAP_TOKEN": TOKEN, "RATE_LIMITS": "0"}
        self._environment = {**os.environ, **{f"GATEWAY_{name}": value for name, value in settings.items()}}
        self._environment.update(environment)

    def start(self) -> float:
        """Starts it, and tells after how many seconds its store answered."""
        began = time.monotonic()
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > began + PATIENCE:
                raise RuntimeError(f"the gateway does not start: see {self._log}\n{self._log.read_text()[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=PATIENCE) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        if self._process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """Ends every process of it in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Lets it answer what is in flight."""
        self._end(signal.SIGTERM)

    def processes(self) -> list[int]:
        """The ids of all its processes."""
        command = ["ps", "-o", "pid=", "-s", str(self._process.pid)]
        return [int(id) for id in subprocess.run(command, capture_output=True, text=True).stdout.split()]

    def _end(self, how: signal.Signals) -> None:
        os.killpg(self._process.pid, how)
        self._process.wait(PATIENCE)
        while not _is_free(self._port):  # a worker that dies keeps its sockets a little longer
            time.sleep(0.005)


def _free_port() -> int:
    """A port that stays free while the gateway is down: none of those that the system gives to whoever connects."""
    return next(port for port in iter(lambda: random.randrange(10_000, 30_000), None) if _is_free(port))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
