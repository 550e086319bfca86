"""Sends a case to a server at a URL. The store of that server is not accessible: only responses are compared."""

import json
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote
from xml.sax.saxutils import escape

import httpx

from gateway.testkit.case import Case
from gateway.testkit.embedded import response_from_httpx
from gateway.testkit.expectations import CaseResponse
from gateway.testkit.pseudonyms import FIRST_TOKEN as TOKEN

_ESCAPE: Mapping[str, Callable[[str], str]] = {"json": lambda text: json.dumps(text)[1:-1], "xml": escape}
"""By media type: a text as it is written inside a body."""

TIMEOUT_SECONDS = 30.0
"""How long a server may take to respond."""


def parse_headers(lines: Iterable[str]) -> dict[str, str]:
    """Return headers by name from lines like `Name: value`. Raises `ValueError` on another line."""
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not (name.strip() and colon and line.isascii() and line.isprintable()):
            raise ValueError(f"{line!r} is not of the form 'Name: value', in ASCII")
        headers[name.strip()] = value.strip()
    return headers


def parse_token(text: str) -> str:
    """Return a token that a header can carry. Raises `ValueError` on another text."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("it has other characters than ASCII's")
    return text


class ServerUnavailable(Exception):
    """The server did not respond, or responded with something other than HTTP."""


class RemoteServer:
    """A server at a URL.

    `headers` are sent with every request and override those of the case. `token` replaces the token of the cases.
    """

    def __init__(self, url: str, headers: Mapping[str, str], token: str | None = None) -> None:
        self._token = token or TOKEN
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS)

    async def send(self, case: Case) -> tuple[CaseResponse, None]:
        """Return the response to a case. Raises `ServerUnavailable`."""
        sets_host = "host" in {name.lower() for name in case.about.get("headers", {})}
        headers = {
            name: value.replace(TOKEN, self._token)
            for name, value in case.headers.items()
            if name != "host" or sets_host
        }
        path = case.about["path"].replace(TOKEN, quote(self._token, safe=""))
        body = case.request.replace(TOKEN.encode(), _ESCAPE[case.media](self._token).encode())
        return await self._request(case.about["method"], path, headers | self._headers, body), None

    async def _request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> CaseResponse:
        try:
            response = await self._client.request(method, path, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{self._client.base_url} does not answer: {error or type(error).__name__}"
            raise ServerUnavailable(reason) from None
        return response_from_httpx(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
