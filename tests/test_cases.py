"""Every conversation of `fixtures/`, in each of its media types, in process on memory and over real HTTP on SQLite."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.stores import open_store
from gateway.testkit.case import Case
from gateway.testkit.embedded import create_application, response_from_httpx, run_in_process
from gateway.testkit.expectations import CaseResponse, check_response
from gateway.testkit.server_thread import ServerThread
from tests.cases import FIXTURES, cases, seed_store, stored_profiles

DIALECTS = [folder.name for folder in sorted(FIXTURES.iterdir()) if any(folder.glob("*/case.json"))]
CASES = list(cases(*DIALECTS))


def each_case(run: Callable[..., None]) -> Callable[..., None]:
    marked = [pytest.param(case, marks=_expected_failure(case), id=case.name) for case in CASES]
    return pytest.mark.parametrize("case", marked)(run)


def _expected_failure(case: Case) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(reason=case.known_gap, strict=True)] if case.known_gap else []


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@each_case
def test_in_process_on_memory(case: Case) -> None:
    _assert_expected(case, *asyncio.run(run_in_process(case)))


@each_case
def test_over_http_on_sqlite(case: Case, host: ServerThread, client: httpx.Client, tmp_path: Path) -> None:
    store = host.run(open_store(f"sqlite:///{tmp_path}/cases.db", create=True))
    host.run(seed_store(store, case))
    with host.serving(create_application(case, store)):
        method, url = case.about["method"], host.url + case.about["path"]
        reply = client.request(method, url, content=case.request, headers=case.headers)
        profiles = host.run(stored_profiles(store))
    _assert_expected(case, response_from_httpx(reply), profiles)


@pytest.mark.parametrize("folder", sorted({case.folder for case in CASES}), ids=lambda folder: folder.name)
def test_has_a_description_and_the_source_of_its_rule(folder: Path) -> None:
    about = next(case.about for case in CASES if case.folder == folder)
    assert about.keys() >= {"description", "spec"}


def _assert_expected(case: Case, answer: CaseResponse, profiles: list[dict[str, Any]]) -> None:
    found = [str(difference) for difference in check_response(case, answer, profiles)]
    assert not found, "\n".join(found)
