"""The pytest plugin: collects every case.json below the folders of the ini option `gateway_cases` as tests.

pytest imports this module in every repository of an environment that has Profile Gateway installed. Such a repository
may have a package `gateway` of its own, so this module is outside the package, and imports nothing from it before the
plugin is used.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

COLLISION = (
    "the package `gateway` at {place} is not that of Profile Gateway, and pytest can import only one of them: "
    "run the cases with `profile-gateway check FOLDER`, which is a process of its own"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("profile-gateway")
    group.addoption(
        "--gateway-url", metavar="URL", help="server to run cases against; without it, each case has its own gateway"
    )
    group.addoption(
        "--gateway-header", action="append", default=[], metavar="'Name: value'", help="sent to --gateway-url"
    )
    group.addoption("--gateway-token", help="sent to --gateway-url in place of the token of cases")
    parser.addini("gateway_cases", type="paths", default=[], help="folders whose case.json are collected as tests")


def pytest_configure(config: pytest.Config) -> None:
    """Validate the options, and add the folders of cases to what pytest collects."""
    folders: list[Path] = config.getini("gateway_cases")
    for folder in folders:
        if not folder.is_dir():
            raise pytest.UsageError(f"gateway_cases: there is no folder {folder}")
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        # Without arguments pytest collects `testpaths` alone.
        config.args += [str(folder) for folder in folders if not _is_collected(folder, config)]
    if folders:
        _import_testkit("pytest_items", config).validate_options(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a case.json below the folders of cases."""
    if file_path.name != "case.json":
        return None
    folders: list[Path] = parent.config.getini("gateway_cases")
    if not any(file_path.is_relative_to(folder.resolve()) for folder in folders):
        return None
    collector: pytest.Collector = _import_testkit("pytest_items", parent.config).CaseFile.from_parent(
        parent, path=file_path
    )
    return collector


@pytest.fixture(scope="session")
def gateway_url(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway: --gateway-url, or one with an empty temporary store that accepts the tokens of cases."""
    if url := pytestconfig.getoption("gateway_url"):
        yield url
        return
    embedded: Any = _import_testkit("embedded", pytestconfig)
    with embedded.run_server(tmp_path_factory.mktemp("gateway")) as url:
        yield url


def _is_collected(folder: Path, config: pytest.Config) -> bool:
    arguments = (config.invocation_params.dir / argument.partition("::")[0] for argument in config.args)
    return any(folder.resolve().is_relative_to(each.resolve()) for each in arguments)


def _import_testkit(module: str, config: pytest.Config) -> ModuleType:
    """Import a module of `gateway.testkit`. Raises `UsageError` if another package has the name `gateway`."""
    if other := _other_package(config):
        raise pytest.UsageError(COLLISION.format(place=other))
    return import_module(f"gateway.testkit.{module}")


def _other_package(config: pytest.Config) -> Path | None:
    """Return the folder of another package `gateway` that this repository imports or could import, or None."""
    spec = find_spec("gateway")
    folders = {Path(place).resolve() for place in (spec.submodule_search_locations or ())} if spec else set()
    roots = (config.rootpath, config.rootpath / "src", config.invocation_params.dir)
    folders |= {(root / "gateway").resolve() for root in roots if (root / "gateway" / "__init__.py").is_file()}
    return next((folder for folder in sorted(folders) if not (folder / "testkit" / "pytest_items.py").is_file()), None)
