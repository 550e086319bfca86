"""`data` in canonical form: the merge patch, the operations and the subscriptions. The leaves keep their types."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.altcraft.field_parser import FieldTable, parse_fields
from gateway.dialects.altcraft.fields import FIELDS, READ_ONLY_FIELDS
from gateway.dialects.altcraft.parameters import is_blank
from gateway.dialects.altcraft.subscriptions import parse_subscriptions


def parse_data(data: Mapping[str, Any], faults: list[Fault], is_typed: bool) -> Update:
    """Return the merge patch, operations and subscriptions of `data`. Append its faults to `faults`."""
    patch, operations, update = parse_fields(data, _DATA, "/profile", faults, is_typed)
    if patch:
        update["profile"] = patch
    if operations:
        update["operations"] = operations
    return update


def _reject_function(name: str, value: Any, faults: list[Fault], _is_typed: bool) -> None:
    """Reject a function on a field that only the gateway sets. A value is ignored: clients send back what they read."""
    if isinstance(value, dict) and "action" in value:
        faults.append(Fault("read_only_field", pointer=join_pointer("profile", name)))


def _reject_name(name: str, _value: Any, faults: list[Fault], _is_typed: bool) -> None:
    faults.append(Fault("unknown_field", pointer=join_pointer("profile", "custom", name)))


def _ignore(_name: str, _value: Any, _faults: list[Fault], _is_typed: bool) -> None:
    """Ignore a match value that is never a field of the profile."""


def _text_of_number(value: int) -> Any:
    return value if isinstance(value, bool) else str(value)


def _list_of_text(value: str) -> Any:
    return value if is_blank(value) else [value]


_DATA = FieldTable(
    FIELDS,
    own="custom",
    parsers={
        "subscriptions": parse_subscriptions,
        "profile_id": _ignore,
        "": _reject_name,
        **dict.fromkeys(READ_ONLY_FIELDS, _reject_function),
    },
    coercions={"_postal_code": (int, _text_of_number), "phones": (str, _list_of_text)},
)
"""Clients send a postal code as a number too, and a single phone number without a list."""
