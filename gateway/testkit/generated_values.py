"""Values that a server generates, and that differ in each run: ids, times, its own address. Pure."""

import re
from collections.abc import Container, Iterator
from itertools import pairwise

from gateway.core.model import Tree
from gateway.testkit.pseudonyms import HEX_ID, UUID

ID = re.compile(rf"(?<![0-9a-f-])(?:{UUID}|{HEX_ID})(?![0-9a-f-])")
_TIME = r"(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
_TIMES = ("created", "updated", "created_at", "updated_at", "completed_at", "expires_at", "joined_group_at")


def replace_generated_values(tree: Tree, sent: Container[str], authority: str, name: str = "") -> Tree:
    """Return the tree of a response with matchers for generated values. Ids that the request `sent` are kept."""
    if isinstance(tree, dict):
        return {member: replace_generated_values(inner, sent, authority, member) for member, inner in tree.items()}
    if isinstance(tree, list):
        return [replace_generated_values(item, sent, authority, name) for item in tree]
    if isinstance(tree, str):
        return _replace_in_text(tree, sent, authority)
    is_time = name in _TIMES and isinstance(tree, int) and not isinstance(tree, bool)
    return {"$type": "integer"} if is_time else tree


def find_ids(text: str) -> set[str]:
    """Return every part of a text that has the form of an id."""
    return set(ID.findall(text))


def pair_ids(mine: Tree, theirs: Tree) -> Iterator[tuple[str, str]]:
    """Yield the pairs of ids at the same place of two responses."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for name in mine.keys() & theirs.keys():
            yield from pair_ids(mine[name], theirs[name])
    elif isinstance(mine, list) and isinstance(theirs, list):
        for pair in zip(mine, theirs, strict=False):
            yield from pair_ids(*pair)
    elif isinstance(mine, str) and isinstance(theirs, str):
        yield from zip(ID.findall(mine), ID.findall(theirs), strict=False)


def _replace_in_text(text: str, sent: Container[str], authority: str) -> Tree:
    """Return a matcher that is open where the text is generated; the text itself if no part is."""
    spans = [(found.span(), _pattern_of(found[0])) for found in _generated_values(authority).finditer(text)]
    spans = [(span, pattern) for span, pattern in spans if text[slice(*span)] not in sent]
    if not spans:
        return text
    edges = [0, *(edge for span, _ in spans for edge in span), len(text)]
    between = [re.escape(text[start:end]) for start, end in list(pairwise(edges))[::2]]
    patterns = [*(pattern for _, pattern in spans), ""]
    return {"$pattern": f"^{''.join(part for pair in zip(between, patterns, strict=True) for part in pair)}$"}


def _generated_values(authority: str) -> re.Pattern[str]:
    return re.compile(rf"{ID.pattern}|{_TIME}|https?://{re.escape(authority)}(?=[/?]|$)")


def _pattern_of(found: str) -> str:
    """Return the pattern of one generated part."""
    if found.startswith("http"):
        return "https?://[^/?]+"
    if re.fullmatch(HEX_ID, found):
        return HEX_ID
    return UUID if re.fullmatch(UUID, found) else r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[0-9:.Z+-]*"
