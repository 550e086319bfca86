"""The conversations of `fixtures/`. The world that each runs in is the package's own."""

from collections.abc import Iterator
from pathlib import Path

from gateway.testkit.case import Case, folders_in, read, untranslatable
from gateway.testkit.embedded import NOW, TOKENS, database_of, furnish, ids, stored

__all__ = ["FIXTURES", "HOST", "NOW", "TOKENS", "Case", "cases", "database_of", "furnish", "ids", "stored"]

FIXTURES = Path(__file__).parents[1] / "fixtures"
HOST = "gateway.example"


def cases(*dialects: str) -> Iterator[Case]:
    """Every case of these dialects, in each media type that it holds in."""
    for dialect in dialects:
        for folder in folders_in(FIXTURES / dialect):
            yield from (case for case in read(folder) if not untranslatable(case))
