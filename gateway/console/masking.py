"""Masked values: the structure of a document stays visible, and its values do not."""

from collections.abc import Mapping, Sequence
from typing import Any

MASK = "•••"


def mask(value: Any) -> Any:
    """Return a tree whose leaves are masked. Empty ones, and those that are absent, stay as they are."""
    if isinstance(value, dict):
        return {name: mask(each) for name, each in value.items()}
    if isinstance(value, list):
        return [mask(each) for each in value]
    return value if value is None or value == "" else MASK


def masked_patch(patch: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a JSON Patch whose values are masked."""
    return [{**each, "value": mask(each["value"])} if "value" in each else dict(each) for each in patch]
