"""How much is measured: everything, or just enough to see that it runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How long, how often and on how much."""

    seconds: float = 5
    """How long one turn of one server lasts."""
    rounds: int = 3
    profiles: int = 5_000
    """Profiles in rotation."""
    batch: int = 10_000
    """Profiles in one request."""
    stored: int = 1_000_000
    """Profiles in a large store."""
    requests: int = 1_000_000
    """Requests after which memory is measured again."""
    with_fastify: bool = True
    """Whether Fastify is measured where npm is; it is compiled on the first run, which takes a minute or two."""


SMOKE = Scale(seconds=0.2, rounds=1, profiles=100, batch=200, stored=2_000, requests=1_000, with_fastify=False)
