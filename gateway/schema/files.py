"""Loads the JSON Schemas of `schemas/`."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

FOLDER = files("gateway") / "schemas"


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return `schemas/{name}.schema.json`. Callers must not change it."""
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return schema
