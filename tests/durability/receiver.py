"""A receiver of webhooks as a process: `python -m tests.durability.receiver PORT FILE`.

It appends the profile and the version of each event to the file before it accepts the event, so that a kill loses none
that it accepted.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.durability.service import TIMEOUT_SECONDS


class Receiver:
    """The process: start, kill, start again. `accepted` reads what it wrote."""

    def __init__(self, port: int, file: Path) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self._command = [sys.executable, "-m", "tests.durability.receiver", str(port), str(file)]
        self._file = file
        file.touch()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        until = time.monotonic() + TIMEOUT_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "the receiver does not start"
            assert time.monotonic() < until, "the receiver does not answer"
            time.sleep(0.005)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def accepted(self) -> list[tuple[str, int]]:
        """Return the profile and the version of each accepted event, in the order of their arrival."""
        rows = (line.split() for line in self._file.read_text().splitlines())
        return [(profile, int(version)) for profile, version in rows]

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.url, timeout=TIMEOUT_SECONDS).close()
        except (urllib.error.URLError, ConnectionError):
            return False
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing where a killed gateway disconnects."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    file: int

    def do_GET(self) -> None:
        self._accept()

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        os.write(self.file, f"{event['subject']} {event['data']['version']}\n".encode())
        self._accept()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _accept(self) -> None:
        self.send_response(204)
        self.end_headers()


def main(port: str, file: str) -> None:
    _Handler.file = os.open(file, os.O_WRONLY | os.O_APPEND)
    _Server(("127.0.0.1", int(port)), _Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
