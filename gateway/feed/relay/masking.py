"""What is stored of a vendor's words: nothing that a request contained."""

from collections.abc import Iterator
from urllib.parse import unquote

from gateway.core.model import Tree
from gateway.dialects.outgoing import OutgoingRequest

MASK = "***"
MIN_CHARACTERS = 3
"""Shorter values are no personal data, and would mask parts of words."""

MAX_CHARACTERS = 500
"""Of the words that are kept."""

NAMING_PARTS = 2
"""The first segments of a path, which name its call."""


def mask_values(text: str, request: OutgoingRequest) -> str:
    """Return a text without the values in the body of a request, and the ids in its path."""
    segments = request.path.split("/")[NAMING_PARTS:] if not request.path.startswith("/api/") else []
    values = {*map(unquote, segments), *segments, *_texts(request.tree)}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= MIN_CHARACTERS and value not in _WORDS:
            text = text.replace(value, MASK)
    return text[:MAX_CHARACTERS]


_WORDS = frozenset({"profile", "profiles", "lists", "users", "tokens", "preferences", "subscriptions", "data", "email"})


def _texts(value: Tree) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield str(value)
