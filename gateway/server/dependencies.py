"""A check at start: the private internals of uvicorn and lxml that the gateway uses are still there."""

from collections.abc import Iterator
from importlib.metadata import version
from types import FunctionType
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess, multiprocess

from gateway.media.xml_parser import replaces_dictionary

UVICORN_INTERNALS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (Config, ("asgi_version", "loaded_app", "root_path", "timeout_keep_alive")),
    (ServerState, ("connections", "default_headers", "tasks", "total_requests")),
    (Multiprocess, ("handle_hup", "processes", "signal_queue", "sockets", "terminate_all")),
    (multiprocess.Process, ("_server", "always_pong", "config", "parent_conn", "server")),
)
"""Classes of uvicorn, and the attributes and methods of each."""


def missing_internals() -> list[str]:
    """Return a message for each library that lacks something the gateway uses."""
    missing = [f"{owner.__name__}.{name}" for owner, names in UVICORN_INTERNALS for name in _missing(owner, names)]
    messages = [_message("uvicorn", ", ".join(missing))] if missing else []
    if not replaces_dictionary():
        messages.append(_message("lxml", "the per-thread dictionary of its parsers"))
    return messages


def _message(library: str, internals: str) -> str:
    return f"{library} {version(library)} does not have {internals}; install a version that this gateway is tested with"


def _missing(owner: type, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the names that a class does not define, and that no method of it assigns."""
    methods = [each for base in owner.__mro__ for each in vars(base).values() if isinstance(each, FunctionType)]
    assigned = {name for method in methods for name in method.__code__.co_names}
    yield from (name for name in names if not hasattr(owner, name) and name not in assigned)
