"""Members of objects in the rows of files: a name with a dot, such as `address.locality`, is a column of its own."""

from collections.abc import Collection, Mapping
from typing import Any

from gateway.core.faults import refuse
from gateway.core.model import Tree


def nest(row: Tree, objects: Collection[str]) -> dict[str, Any]:
    """Return a row in which names such as `address.locality` are members of the objects with these names.

    Raises `Refusal`: invalid_parameter, where the row is no object, or has an object and members of it that is none.
    """
    if not isinstance(row, dict):
        raise refuse("invalid_parameter", "a row must be an object")
    nested: dict[str, Any] = {}
    for name, value in row.items():
        owner, dot, member = name.partition(".")
        if not dot or owner not in objects:
            nested[name] = {**value, **nested.get(name, {})} if isinstance(value, dict) and name in nested else value
        elif isinstance(nested.setdefault(owner, {}), dict):
            nested[owner] = {**nested[owner], member: value}
        else:
            raise refuse("invalid_parameter", f"{owner} is no object, and has the member {name}")
    return nested


def flatten(row: Mapping[str, Any], objects: Collection[str]) -> dict[str, Any]:
    """Return a row in which the members of these objects are members of the row. An empty object stays as it is."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in objects and isinstance(value, dict) and value:
            flat.update({f"{name}.{member}": each for member, each in value.items()})
        else:
            flat[name] = value
    return flat
