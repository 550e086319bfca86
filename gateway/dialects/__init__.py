"""Dialects: a vendor's tree to canonical commands; a result to the vendor's reply.

One folder per vendor. Every folder here is loaded. A dialect imports no media type, no store and no other dialect.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from gateway.dialects.protocol import Dialect


def load_dialects(settings: Mapping[str, Any]) -> list[Dialect]:
    """Every dialect in this folder, created from the settings that it reads by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__) if module.ispkg)
    return [module.dialect(settings) for module in modules]
