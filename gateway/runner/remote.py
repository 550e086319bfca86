"""Carries a case to a server at some URL. What the server holds before and after, nobody here can know."""

from collections.abc import Iterable, Mapping

import httpx

from gateway.contract.case import Case
from gateway.contract.judging import Answer
from gateway.runner.embedded import answer_of

PATIENCE = 30.0
"""Seconds that a server may take for an answer."""


def headers_in(lines: Iterable[str]) -> dict[str, str]:
    """Headers by name, from lines like `Name: value`. Raises `ValueError` on another line."""
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not (name.strip() and colon):
            raise ValueError(f"{line!r} is not of the form 'Name: value'")
        found[name.strip()] = value.strip()
    return found


class Away(Exception):
    """No answer came: the server is not there, or what it sent is no HTTP."""


class Remote:
    """A server at a URL; `headers` are sent with every request and win over those of the case."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._client = httpx.AsyncClient(base_url=url, timeout=PATIENCE)

    async def converse(self, case: Case) -> tuple[Answer, None]:
        """The answer to a case. Raises `Away`."""
        named = {name.lower() for name in case.about.get("headers", {})}
        own = {name: value for name, value in case.headers.items() if name != "host" or name in named}
        method, path, headers = case.about["method"], case.about["path"], own | self._headers
        try:
            return answer_of(await self._client.request(method, path, content=case.request, headers=headers)), None
        except (httpx.HTTPError, httpx.InvalidURL) as reason:
            raise Away(f"{self._client.base_url} does not answer: {reason or type(reason).__name__}") from None

    async def close(self) -> None:
        await self._client.aclose()
