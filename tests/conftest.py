"""Fixtures that several rooms' tests share."""

import logging
import os
from collections.abc import Iterator

import hypothesis
import pytest

from gateway.server import parts
from gateway.testkit.server_thread import ServerThread
from tests.command_line import no_settings, run, url
from tests.log_capture import LogCapture
from tests.stores import postgresql
from tests.wheel import dist, elsewhere

__all__ = ["dist", "elsewhere", "no_settings", "run", "url"]

hypothesis.settings.register_profile("usual", max_examples=200, deadline=None)
hypothesis.settings.register_profile(
    "laws",
    max_examples=10_000,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # it measures time, and a busy machine is slow
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


@pytest.fixture(scope="session")
def host() -> Iterator[ServerThread]:
    """A real server whose application each test brings."""
    host = ServerThread()
    yield host
    host.close()


@pytest.fixture(scope="session", autouse=True)
def log_capture() -> Iterator[LogCapture]:
    """Captures every log of this session. At its end, no log may contain anything that a client sent."""
    log_capture = LogCapture()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "write_stdout", log_capture.write)
        for name in ("", "uvicorn"):  # uvicorn's does not hand on
            logging.getLogger(name).addHandler(log_capture)
        yield log_capture
    assert log_capture.leaks() == set()


@pytest.fixture(scope="session", autouse=True)
def _postgresql() -> Iterator[None]:
    """A PostgreSQL server is started by the first test that needs one, and stopped here."""
    yield
    postgresql.end()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
