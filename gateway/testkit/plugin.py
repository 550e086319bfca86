"""The pytest plugin: every case.json below the folders that the ini option `gateway_cases` names is collected as tests.

pytest loads this file in every repository where the gateway is installed, so nothing else is imported before a case
is found, and nothing is collected where the option is not set.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gateway.testkit.case import Case
    from gateway.testkit.runner import Outcome


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("profile-gateway")
    group.addoption("--gateway-url", metavar="URL", help="server to hold cases against; else each has its own gateway")
    group.addoption(
        "--gateway-header", action="append", default=[], metavar="'Name: value'", help="sent to --gateway-url"
    )
    group.addoption("--gateway-token", help="sent to --gateway-url in place of the token of cases")
    parser.addini("gateway_cases", type="paths", default=[], help="folders whose case.json are collected as tests")


def pytest_configure(config: pytest.Config) -> None:
    for folder in config.getini("gateway_cases"):
        if not folder.is_dir():
            raise pytest.UsageError(f"gateway_cases: there is no folder {folder}")
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        # Where `testpaths` says what is run without arguments, it says so of tests in files.
        config.args += [str(folder) for folder in config.getini("gateway_cases") if not _is_run(folder, config)]
    if lines := config.getoption("gateway_header"):
        _headers(lines)
    if token := config.getoption("gateway_token"):
        _token(token)


def _is_run(folder: Path, config: pytest.Config) -> bool:
    asked = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    return any(folder.resolve().is_relative_to(each.resolve()) for each in asked)


def _headers(lines: list[str]) -> dict[str, str]:
    from gateway.testkit.remote import headers_in

    try:
        return headers_in(lines)
    except ValueError as reason:
        raise pytest.UsageError(f"--gateway-header: {reason}") from None


def _token(text: str) -> str:
    from gateway.testkit.remote import token_in

    try:
        return token_in(text)
    except ValueError as reason:
        raise pytest.UsageError(f"--gateway-token: {reason}") from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "CaseFile | None":
    if file_path.name != "case.json":
        return None
    folders: list[Path] = parent.config.getini("gateway_cases")
    is_ours = any(file_path.is_relative_to(folder.resolve()) for folder in folders)
    return CaseFile.from_parent(parent, path=file_path) if is_ours else None


class CaseFile(pytest.File):
    """One case.json: a test for each media type. An ill-formed case is a test that fails, so that the others run."""

    def collect(self) -> "Iterator[CaseItem | IllFormedItem]":
        from gateway.testkit.case import IllFormed, read

        folder = self.path.parent
        try:
            cases = read(folder)
        except IllFormed as reason:
            yield IllFormedItem.from_parent(self, name=folder.name, reason=str(reason))
            return
        for case in cases:
            yield CaseItem.from_parent(self, name=f"{folder.name}[{case.media}]", case=case)


class Unexpected(Exception):
    """What came of a case is not what was expected; each line says one difference."""


class _Item(pytest.Item):
    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, Unexpected) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


class IllFormedItem(_Item):
    """A case that cannot be run."""

    def __init__(self, reason: str, **named: Any) -> None:
        super().__init__(**named)
        self._reason = reason

    def runtest(self) -> None:
        raise Unexpected(self._reason)


class CaseItem(_Item):
    """One case in one media type."""

    def __init__(self, case: "Case", **named: Any) -> None:
        super().__init__(**named)
        self._case = case

    def runtest(self) -> None:
        import asyncio

        found = asyncio.run(self._outcome())
        if found.kind == "skipped":
            pytest.skip(found.told[0])
        if found.kind != "passed":
            raise Unexpected("\n".join(found.told))

    async def _outcome(self) -> "Outcome":
        from gateway.testkit.remote import Remote
        from gateway.testkit.runner import outcome

        url = self.config.getoption("gateway_url")
        if not url:
            return await outcome(self._case, None)
        remote = Remote(url, _headers(self.config.getoption("gateway_header")), self.config.getoption("gateway_token"))
        try:
            return await outcome(self._case, remote)
        finally:
            await remote.close()


@pytest.fixture(scope="session")
def gateway_url(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway: that of --gateway-url, or one on a temporary store that knows the tokens of cases."""
    if url := pytestconfig.getoption("gateway_url"):
        yield url
        return
    from gateway.testkit.embedded import serving

    with serving(tmp_path_factory.mktemp("gateway")) as url:
        yield url
