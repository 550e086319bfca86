"""Loads the JSON Schemas of `schemas/`."""

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any


def _find_folder() -> Traversable:
    """Return the folder of the schemas: inside the package in a wheel, beside the package in a checkout."""
    package = files("gateway")
    installed = package / "schemas"
    return installed if installed.is_dir() else Path(str(package)).parent / "schemas"


FOLDER = _find_folder()


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return `schemas/{name}.schema.json`. Callers must not change it."""
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return schema
