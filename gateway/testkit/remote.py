"""Carries a case to a server at some URL. What the server holds before and after, nobody here can know."""

import json
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote
from xml.sax.saxutils import escape

import httpx

from gateway.testkit.case import Case
from gateway.testkit.embedded import answer_of
from gateway.testkit.pseudonyms import FIRST_TOKEN as TOKEN
from gateway.testkit.verdict import Answer

_SPELLED: Mapping[str, Callable[[str], str]] = {"json": lambda text: json.dumps(text)[1:-1], "xml": escape}
"""A text as it stands inside a body."""

PATIENCE = 30.0
"""Seconds that a server may take for an answer."""


def headers_in(lines: Iterable[str]) -> dict[str, str]:
    """Headers by name, from lines like `Name: value`. Raises `ValueError` on another line."""
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not (name.strip() and colon and line.isascii() and line.isprintable()):
            raise ValueError(f"{line!r} is not of the form 'Name: value', in ASCII")
        found[name.strip()] = value.strip()
    return found


def token_in(text: str) -> str:
    """A token that fits a header. Raises `ValueError` on another text."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("it has other characters than ASCII's")
    return text


class Away(Exception):
    """No answer came: the server is not there, or what it sent is no HTTP."""


class Remote:
    """A server at a URL; `headers` are sent with every request and win over those of the case.

    `token` takes the place of the one that cases have, wherever a request has it.
    """

    def __init__(self, url: str, headers: Mapping[str, str], token: str | None = None) -> None:
        self._token = token or TOKEN
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._client = httpx.AsyncClient(base_url=url, timeout=PATIENCE)

    async def converse(self, case: Case) -> tuple[Answer, None]:
        """The answer to a case. Raises `Away`."""
        named = {name.lower() for name in case.about.get("headers", {})}
        own = {name: value for name, value in case.headers.items() if name != "host" or name in named}
        given = {name: value.replace(TOKEN, self._token) for name, value in own.items()}
        path = case.about["path"].replace(TOKEN, quote(self._token, safe=""))
        body = case.request.replace(TOKEN.encode(), _SPELLED[case.media](self._token).encode())
        return await self._asked(case.about["method"], path, given | self._headers, body), None

    async def _asked(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            return answer_of(await self._client.request(method, path, content=body, headers=headers))
        except (httpx.HTTPError, httpx.InvalidURL) as reason:
            raise Away(f"{self._client.base_url} does not answer: {reason or type(reason).__name__}") from None

    async def close(self) -> None:
        await self._client.aclose()
