"""The keys that list profiles which were stored before there were any: derived from their documents."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from gateway.core.matching import SEGMENT


def segment_rows(profiles: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str, str]]:
    """Yield the database, kind and value of each key, and the id of its profile, from rows of database, id, document.

    A segment without a name has no key.
    """
    for database, id, text in profiles:
        document: dict[str, Any] = orjson.loads(text)
        for segment in document.get("segments", ()):
            if segment != "":
                yield database, SEGMENT, str(segment), id
