"""How a value is shown in the text of a fault: as JSON, and cut where it is long."""

import json
from typing import Any

MAX_EXCERPT_LENGTH = 60


def excerpt(value: Any) -> str:
    """The value as JSON, of which at most the first 60 characters."""
    spelled = json.dumps(value, ensure_ascii=False)
    return spelled if len(spelled) <= MAX_EXCERPT_LENGTH else f"{spelled[:MAX_EXCERPT_LENGTH]}…"
