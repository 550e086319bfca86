"""For environments installed before the entry point moved to `pytest_profile_gateway`."""

from pytest_profile_gateway import *  # noqa: F403
