"""What `data` writes, in canonical form: the merge patch, the operations and the edits of subscriptions.

Leaves stay as the media type gave them; nothing of matching or of parameters is known here.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.altcraft.fields import FIELDS, OWNED, place
from gateway.dialects.altcraft.parameters import TEXTS, word

ACTIONS = ("set", "unset", "incr", "add", "delete", "upsert")
DEEPEST = 32
"""Levels that a submatch may lead down: what it makes is stored, and some hundreds of them could not be written."""


def writing_of(data: Mapping[str, Any], faults: list[Fault]) -> Update:
    """The merge patch, operations and subscriptions of `data`."""
    profile: dict[str, Any] = {}
    operations: list[dict[str, Any]] = []
    writing: Update = {}
    for name, value in data.items():
        if name == "subscriptions":
            if value is not None:
                writing["subscriptions"] = _subscriptions(value, faults)
        elif not name:
            faults.append(Fault("unknown_field", pointer="/profile/custom/"))
        elif name in OWNED:
            faults.append(Fault("read_only_field", pointer=join_pointer("profile", name)))
        elif isinstance(value, dict):
            _write(profile, operations, place(name), value, faults, "/profile")
        else:
            _set(profile, place(name), value)
    written = {"profile": profile, "operations": operations}
    return {**writing, **{name: value for name, value in written.items() if value}}


def _text(value: Any) -> Any:
    """Clients write a postal code as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _list(value: Any) -> Any:
    """And a single phone without its list."""
    return [value] if isinstance(value, str) and value else value


_AS_DECLARED = {FIELDS["_postal_code"]: _text, FIELDS["phones"]: _list}


def _write(
    target: dict[str, Any],
    operations: list[dict[str, Any]],
    path: tuple[str, ...],
    told: dict[str, Any],
    faults: list[Fault],
    at: str,
) -> None:
    """Writes what an object says of one field: a plain value into the merge patch, all else as an operation."""
    try:
        action, value, argument = function_of(told)
    except ValueError as reason:
        return faults.append(Fault("invalid_function", str(reason), at + join_pointer(*path)))
    if action == "set" and not isinstance(value, dict):
        return _set(target, path, value)
    return operations.append({"function": action, "pointer": join_pointer(*path), "value": value, **argument})


def _set(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = _AS_DECLARED[path](value) if path in _AS_DECLARED else value


def function_of(value: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """What an object as a field's value says: (action, value, further argument). Unset sets null."""
    action = word(value.get("action"))
    if action not in ACTIONS:
        return "set", value, {}
    if action == "unset":
        return "set", None, {}
    if "value" not in value:
        raise ValueError(f"{action} needs a value")
    if action == "upsert":
        return action, value["value"], {"submatch": _submatch(value.get("submatch"))}
    single = action in ("add", "delete") and not isinstance(value["value"], list)
    return action, [value["value"]] if single else value["value"], {}


def _submatch(value: Any) -> str:
    submatch = word(value)
    if not isinstance(submatch, str) or not all(submatch.split(".")):
        raise ValueError("upsert needs a submatch")
    if submatch.count(".") >= DEEPEST:
        raise ValueError(f"submatch leads deeper than {DEEPEST} levels")
    return submatch


# --- subscriptions ---


def _subscriptions(value: Any, faults: list[Fault]) -> Any:
    """Each subscription by its members; what is no list or no object is left for the check to refuse."""
    if isinstance(value, dict):
        edit, found = edit_of(value, "/subscriptions/0")
        faults += found
        return edit
    if not isinstance(value, list):
        return value
    edits = []
    for index, each in enumerate(value):
        edit, found = edit_of(each, f"/subscriptions/{index}") if isinstance(each, dict) else (each, [])
        edits.append(edit)
        faults += found
    return edits


def edit_of(members: Mapping[str, Any], at: str) -> tuple[dict[str, Any], list[Fault]]:
    told = {name: value for name, value in members.items() if value != "" or name not in TEXTS}
    if _READ_APART.isdisjoint(members):
        return told, []
    edit = {name: value for name, value in told.items() if name not in _READ_APART}
    # Canonical form has a member of this name, Altcraft has none.
    faults = [Fault("unknown_field", pointer=f"{at}/operations")] if "operations" in members else []
    for name, member in _DATA.items():
        _write_address(edit, member, members.get(name), faults, f"{at}/{name}")
    fields = members.get("custom_fields")
    if isinstance(fields, dict):
        operations: list[dict[str, Any]] = []
        for name, value in fields.items():
            path = ("custom_fields", name)
            if isinstance(value, dict):
                _write(edit, operations, path, value, faults, at)
            else:
                _set(edit, path, value)
        edit |= {"operations": operations} if operations else {}
    elif fields is not None:
        edit["custom_fields"] = fields
    return edit, faults


def _write_address(edit: dict[str, Any], member: str, told: Any, faults: list[Fault], at: str) -> None:
    """An address that an object holds; it cannot be another one than stands beside the object."""
    if told is None:
        return
    if not isinstance(told, dict):
        faults.append(Fault("invalid_field", "it must be an object", at))
    elif edit.get(member) is None:
        edit |= {member: told[member]} if member in told else {}
    elif told.get(member) not in (None, edit[member]):
        faults.append(Fault("invalid_field", f"it must hold the same as {member}", at))


_DATA = {"email_data": "email", "phone_data": "phone"}
"""Other spellings of an address, as some clients send it: an object that holds it."""

_READ_APART = {"custom_fields", "operations", *_DATA}
