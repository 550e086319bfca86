"""What differs from one run to the next: ids that a server made, times, its own address. As masks. Pure."""

import re
from collections.abc import Container, Iterator
from itertools import pairwise

from gateway.core.model import Tree
from gateway.testkit.pseudonyms import HEX, UUID

ID = re.compile(rf"(?<![0-9a-f-])(?:{UUID}|{HEX})(?![0-9a-f-])")
_TIME = r"(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
_TIMES = ("created", "updated", "created_at", "updated_at", "completed_at", "expires_at", "joined_group_at")


def masked(tree: Tree, sent: Container[str], authority: str, name: str = "") -> Tree:
    """An answer's tree with masks for what is volatile; an id that was `sent` is no server's choice and stays."""
    if isinstance(tree, dict):
        return {member: masked(inner, sent, authority, member) for member, inner in tree.items()}
    if isinstance(tree, list):
        return [masked(item, sent, authority, name) for item in tree]
    if isinstance(tree, str):
        return _masked_text(tree, sent, authority)
    is_time = name in _TIMES and isinstance(tree, int) and not isinstance(tree, bool)
    return {"$type": "integer"} if is_time else tree


def ids_in(text: str) -> set[str]:
    """Every text that looks like an id."""
    return set(ID.findall(text))


def paired_ids(mine: Tree, theirs: Tree) -> Iterator[tuple[str, str]]:
    """The ids that stand at one place of two answers."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for name in mine.keys() & theirs.keys():
            yield from paired_ids(mine[name], theirs[name])
    elif isinstance(mine, list) and isinstance(theirs, list):
        for pair in zip(mine, theirs, strict=False):
            yield from paired_ids(*pair)
    elif isinstance(mine, str) and isinstance(theirs, str):
        yield from zip(ID.findall(mine), ID.findall(theirs), strict=False)


def _masked_text(text: str, sent: Container[str], authority: str) -> Tree:
    """A pattern that leaves open what is volatile in a text; the text itself where nothing is."""
    spans = [(found.span(), _open(found[0])) for found in _finder(authority).finditer(text)]
    spans = [(span, pattern) for span, pattern in spans if text[slice(*span)] not in sent]
    if not spans:
        return text
    edges = [0, *(edge for span, _ in spans for edge in span), len(text)]
    between = [re.escape(text[start:end]) for start, end in list(pairwise(edges))[::2]]
    patterns = [*(pattern for _, pattern in spans), ""]
    return {"$pattern": f"^{''.join(part for pair in zip(between, patterns, strict=True) for part in pair)}$"}


def _finder(authority: str) -> re.Pattern[str]:
    return re.compile(rf"{ID.pattern}|{_TIME}|https?://{re.escape(authority)}(?=[/?]|$)")


def _open(found: str) -> str:
    """The pattern of one volatile part."""
    if found.startswith("http"):
        return "https?://[^/?]+"
    if re.fullmatch(HEX, found):
        return HEX
    return UUID if re.fullmatch(UUID, found) else r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[0-9:.Z+-]*"
