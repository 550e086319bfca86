"""The URL of an empty store of each engine."""

from pathlib import Path

from tests.stores import postgresql

ENGINES = ("memory", "sqlite", "postgresql")


def empty_store_url(engine: str, folder: Path) -> str:
    """Return the URL of a store that nothing is in yet. That of a file is in the folder."""
    match engine:
        case "sqlite":
            return f"sqlite:///{folder}/one.db"
        case "postgresql":
            return postgresql.fresh()
    return "memory:"
