"""Receivers of webhooks on real sockets. They record what they get, and answer as they are asked to."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TIMEOUT_SECONDS = 20.0


@dataclass
class Received:
    """One message."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


Answers = Callable[[Received], tuple[int, Mapping[str, str], bytes]]
"""From a message to the status, the headers and the body of the response."""


def accept(_message: Received) -> tuple[int, Mapping[str, str], bytes]:
    return 204, {}, b""


@dataclass
class Receiver:
    """A receiver and its messages. `accepted` are those that it answered with success."""

    url: str
    answers: Answers = accept
    messages: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    change: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, message: Received) -> tuple[int, Mapping[str, str], bytes]:
        """Record a message and return the response to it."""
        status, headers, body = self.answers(message)
        with self.change:
            self.messages.append(message)
            if status < 300:
                self.accepted.append(message)
            self.change.notify_all()
        return status, headers, body

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Wait for this number of accepted messages, and return the events of all."""
        with self.change:
            assert self.change.wait_for(lambda: len(self.accepted) >= count, TIMEOUT_SECONDS), len(self.accepted)
            return [message.event for message in self.accepted]

    def wait_for_attempts(self, count: int) -> None:
        """Wait for this number of messages, accepted or not."""
        with self.change:
            assert self.change.wait_for(lambda: len(self.messages) >= count, TIMEOUT_SECONDS), len(self.messages)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnects is no error of a test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answered, content = self.server.receiver.answer(Received(headers, body))
        self.send_response(status)
        for name, value in answered.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def receiving(answers: Answers = accept, certificate: Path | None = None) -> Iterator[Receiver]:
    """Receive until the context ends. With the file of a certificate and its key, receive over TLS as hook.example."""
    server = _Server(("127.0.0.1", 0), _Handler)
    base = "https://hook.example" if certificate else "http://127.0.0.1"
    server.receiver = Receiver(f"{base}:{server.server_address[1]}/hook?a=1", answers)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def answering(respond: Callable[[socket.socket], None]) -> Iterator[str]:
    """Accept connections and respond to each with raw bytes; yield the URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    respond(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        listening.close()


def write_certificate(folder: Path, name: str) -> Path:
    """Write a self-signed certificate of a host with its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(private + built.public_bytes(pem))
    return file


def eventually(condition: Callable[[], Any]) -> Any:
    """Return the first true result of a condition. Fails after a time."""
    until = monotonic() + TIMEOUT_SECONDS
    while not (result := condition()):
        assert monotonic() < until
        sleep(0.02)
    return result
