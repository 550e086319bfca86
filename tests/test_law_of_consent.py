"""The law of consent: an opt-out holds, whatever is called after it, in every dialect and in both media types.

No address that was opted out last, or that ever bounced or was invalid, is mailable in any view. An explicit
subscription is shown at once, unless the address bounced or is invalid.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consent.calls import Call
from tests.consent.conversations import CONVERSATIONS
from tests.consent.sequences import sequences
from tests.consent.world import Gateway, serving, world

SEQUENCES = 10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "laws" else 30


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def gateway(runner: asyncio.Runner) -> Iterator[Gateway]:
    context = serving()
    yield runner.run(context.__aenter__())
    runner.run(context.__aexit__(None, None, None))


async def run(gateway: Gateway, url: str, sequence: Sequence[Call], must_succeed: bool = False) -> None:
    """Make the calls of a sequence. Compare every view with the ledger after each, and XML's at the end."""
    async with world(gateway, url) as one:
        for call in sequence:
            answer = await call.run(one)
            assert not must_succeed or answer is None or answer.is_success, (call, answer)
            await one.observe()
        await one.observe("xml")


@pytest.mark.law
@hypothesis.settings(max_examples=SEQUENCES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@given(sequence=sequences, engine=st.integers(0, 31))
def test_an_opt_out_holds(
    sequence: list[Call],
    engine: int,
    runner: asyncio.Runner,
    gateway: Gateway,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One sequence of 32 runs on SQLite, all others in memory."""
    url = f"sqlite:///{tmp_path_factory.mktemp('law')}/{{}}.db" if engine == 31 else "memory:"
    runner.run(run(gateway, url, sequence))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_an_opt_out_holds_where(name: str, runner: asyncio.Runner, gateway: Gateway) -> None:
    runner.run(run(gateway, "memory:", CONVERSATIONS[name], must_succeed=True))
