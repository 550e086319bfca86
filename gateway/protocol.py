"""uvicorn's HTTP protocol, and what it lacks for clients that we cannot change. Knows nothing of what is said over it.

An Upgrade that is not wanted is to be ignored (RFC 9110, 7.8). uvicorn drops the body of such a request instead: Java's
HttpClient, which offers HTTP/2 with its first request on a connection, could not say a word here.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OFFERS = (b"upgrade", b"connection", b"http2-settings")
"""The headers of an offer to speak another protocol."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 that stays HTTP/1.1: a request that offers an upgrade is read again as if it had offered none."""

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, but for the offer, at which the parser stops."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_offer(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        """Nothing is started for a request that will be read again."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The same."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _read_without_offer(self, rest: bytes) -> None:
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()]
        lines += [name + b": " + value for name, value in self.headers if name not in OFFERS]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)
