"""Steps in SQL that both SQL engines carry out: generators of statements, which get the rows of each.

SQLite runs each statement at once, PostgreSQL waits for the server.
"""

from collections.abc import Generator
from typing import Any, TypeAlias

from gateway.core.model import JobCursor
from gateway.stores.rows import Row

Statements: TypeAlias = "Generator[tuple[str, Any], list[Row], JobCursor | None]"
"""Statements and their values, whose parameters are `?` unless the engine names them."""
