"""The conversations of `fixtures/`. The world that each runs in is the package's own."""

from collections.abc import Iterator
from pathlib import Path

from gateway.testkit.case import Case, find_case_folders, read_cases, untranslatable_reason
from gateway.testkit.embedded import NOW, TOKENS, database_from_case, seed_store, sequential_ids, stored_profiles

__all__ = [
    "FIXTURES",
    "HOST",
    "NOW",
    "TOKENS",
    "Case",
    "cases",
    "database_from_case",
    "seed_store",
    "sequential_ids",
    "stored_profiles",
]

FIXTURES = Path(__file__).parents[1] / "fixtures"
HOST = "gateway.example"


def cases(*dialects: str) -> Iterator[Case]:
    """Every case of these dialects, in each media type that it holds in."""
    for dialect in dialects:
        for folder in find_case_folders(FIXTURES / dialect):
            yield from (case for case in read_cases(folder) if not untranslatable_reason(case))
