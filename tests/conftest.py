"""Fixtures that several rooms' tests share."""

import logging
import os
from collections.abc import Iterator

import hypothesis
import pytest

from gateway.server import app
from gateway.testkit.server_thread import Host
from tests.silence import Ear
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
def ear() -> Iterator[Ear]:
    """Hears every log of this session; in the end, nothing that a client sent may have been in one."""
    ear = Ear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "write_stdout", ear.write)
        for name in ("", "uvicorn"):  # uvicorn's does not hand on
            logging.getLogger(name).addHandler(ear)
        yield ear
    assert ear.betrayed() == set()


@pytest.fixture(scope="session", autouse=True)
def _postgresql() -> Iterator[None]:
    """A PostgreSQL server is started by the first test that needs one, and stopped here."""
    yield
    postgresql.end()
