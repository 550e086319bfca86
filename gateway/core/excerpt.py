"""The excerpt of a value in the text of a fault."""

import json
from typing import Any

MAX_EXCERPT_LENGTH = 60


def excerpt(value: Any) -> str:
    """Return the first `MAX_EXCERPT_LENGTH` characters of the value as JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_EXCERPT_LENGTH else f"{text[:MAX_EXCERPT_LENGTH]}…"
