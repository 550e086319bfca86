"""Fixtures that several rooms' tests share."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from gateway.runner.host import Host
from tests.stores import postgresql
from tests.wheel import dist, elsewhere

__all__ = ["dist", "elsewhere"]

hypothesis.settings.register_profile("usual", max_examples=200, deadline=None)
hypothesis.settings.register_profile("laws", max_examples=10_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """A real server whose application each test brings."""
    host = Host()
    yield host
    host.close()


@pytest.fixture(scope="session", autouse=True)
def _postgresql() -> Iterator[None]:
    """A PostgreSQL server is started by the first test that needs one, and stopped here."""
    yield
    postgresql.end()
