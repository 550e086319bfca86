"""Case folders as pytest tests: the collector of one case.json, and its items.

The plugin itself is the module `pytest_profile_gateway`, which imports this one only when cases are configured.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.testkit.case import Case, InvalidCase, read_cases
from gateway.testkit.remote import RemoteServer, parse_headers, parse_token
from gateway.testkit.runner import PASSED, SKIPPED, CaseResult, run_case


def validate_options(config: pytest.Config) -> None:
    """Raise `UsageError` if the header or the token on the command line is invalid."""
    _parse_headers(config.getoption("gateway_header"))
    try:
        parse_token(config.getoption("gateway_token") or "")
    except ValueError as error:
        raise pytest.UsageError(f"--gateway-token: {error}") from None


class CaseFile(pytest.File):
    """One case.json: a test for each media type. An invalid case is one test that fails, so that the others run."""

    def collect(self) -> "Iterator[CaseItem | InvalidCaseItem]":
        """Yield the tests."""
        folder = self.path.parent
        try:
            cases = read_cases(folder)
        except InvalidCase as error:
            yield InvalidCaseItem.from_parent(self, name=folder.name, reason=str(error))
            return
        for case in cases:
            yield CaseItem.from_parent(self, name=f"{folder.name}[{case.media}]", case=case)


class CaseFailure(Exception):
    """The failure of a case; each line is one difference."""


class _Item(pytest.Item):
    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, CaseFailure) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


class InvalidCaseItem(_Item):
    """A case that cannot run."""

    def __init__(self, reason: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._reason = reason

    def runtest(self) -> None:
        """Fail with the reason."""
        raise CaseFailure(self._reason)


class CaseItem(_Item):
    """One case in one media type."""

    def __init__(self, case: Case, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._case = case

    def runtest(self) -> None:
        """Run the case."""
        result = asyncio.run(self._run())
        if result.outcome == SKIPPED:
            pytest.skip(result.messages[0])
        if result.outcome != PASSED:
            raise CaseFailure("\n".join(result.messages))

    async def _run(self) -> CaseResult:
        remote = _remote_server(self.config)
        try:
            return await run_case(self._case, remote)
        finally:
            if remote:
                await remote.close()


def _remote_server(config: pytest.Config) -> RemoteServer | None:
    """Return the server at --gateway-url, or None if cases run against gateways of their own."""
    url: str | None = config.getoption("gateway_url")
    headers, token = config.getoption("gateway_header"), config.getoption("gateway_token")
    return RemoteServer(url, _parse_headers(headers), token) if url else None


def _parse_headers(lines: list[str]) -> dict[str, str]:
    try:
        return parse_headers(lines)
    except ValueError as error:
        raise pytest.UsageError(f"--gateway-header: {error}") from None
