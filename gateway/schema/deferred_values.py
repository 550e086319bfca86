"""Values to set that a dialect deferred in XML.

The single element of a list looks like an object there, until it is coerced.
"""

import functools
from typing import Any

from gateway.core.model import Command
from gateway.core.pointer import split_pointer


def place_deferred_values(command: Command) -> None:
    """Move each `set` of a coerced command whose value is no object into the merge patch. Remove an empty patch."""
    profile = command.pop("profile", None) or {}
    if "operations" in command:
        _place(command, profile)
    for subscription in command.get("subscriptions") or ():
        if isinstance(subscription, dict) and "operations" in subscription:
            _place(subscription, subscription)
    if profile:
        command["profile"] = profile


def _place(holder: dict[str, Any], patch: dict[str, Any]) -> None:
    kept = []
    for operation in holder.pop("operations"):
        if operation["function"] != "set" or isinstance(operation["value"], dict):
            kept.append(operation)
            continue
        *path, name = split_pointer(operation["pointer"])
        functools.reduce(lambda inner, step: inner.setdefault(step, {}), path, patch)[name] = operation["value"]
    if kept:
        holder["operations"] = kept
