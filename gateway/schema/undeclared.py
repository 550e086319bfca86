"""The faults of names and ids that a database does not accept: undeclared ones if it is closed, archived segments."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Database, Update
from gateway.core.pointer import join_pointer, split_pointer
from gateway.core.segments import SegmentId


def undeclared_faults(update: Update, database: Database) -> Iterable[Fault]:
    """Yield a fault for each name and id that the database does not declare. Pointers are into the update."""
    yield from _fields(update, database)
    yield from _segments(update, database)
    for index, subscription in enumerate(_list(update.get("subscriptions"))):
        if isinstance(subscription, dict) and isinstance(subscription.get("resource_id"), int):
            yield from _in_subscription(subscription, database, join_pointer("subscriptions", index))
    yield from _categories(_object(update.get("categories")), database)


def archived_faults(update: Update, archived: Collection[SegmentId]) -> Iterable[Fault]:
    """Yield a fault for each archived segment that the update adds a profile to. Pointers are into the update."""
    for index, id in enumerate(_list(_object(update.get("segments")).get("add"))):
        if isinstance(id, int | str) and id in archived:
            yield Fault("archived_segment", f"segment {id} is archived", join_pointer("segments", "add", index))


def _categories(rule: Mapping[str, Any], database: Database) -> Iterable[Fault]:
    resource = database.resources.get(rule.get("resource_id", -1))
    for action in ("add", "remove"):
        if resource and any(category not in resource.categories for category in _list(rule.get(action))):
            yield Fault("unknown_category", pointer=join_pointer("categories", action))


def _fields(update: Update, database: Database) -> Iterable[Fault]:
    """Yield the faults of own fields that are removed, or changed by a function that JSON Schema does not validate."""
    declared = database.fields.get("properties", {})
    custom = _object(_object(update.get("profile")).get("custom"))
    changed = []
    for operation in update.get("operations", ()):
        names = split_pointer(operation["pointer"])
        is_validated = operation["function"] == "set" and (operation["value"] is not None or len(names) > 2)
        if names[:1] == ["custom"] and names[1:] and not is_validated:
            changed.append(names[1])
    for name in (*changed, *(name for name, value in custom.items() if value is None)):
        if name not in declared:
            yield Fault("unknown_field", pointer=join_pointer("profile", "custom", name))


def _segments(update: Update, database: Database) -> Iterable[Fault]:
    for action, ids in update.get("segments", {}).items():
        for index, id in enumerate(_list(ids)):
            if isinstance(id, int | str) and id not in database.segments:
                yield Fault("unknown_segment", f"there is no segment {id}", join_pointer("segments", action, index))


def _in_subscription(subscription: Mapping[str, Any], database: Database, at: str) -> Iterable[Fault]:
    resource = database.resources.get(subscription["resource_id"])
    if resource is None:
        yield Fault("unknown_resource", f"there is no resource {subscription['resource_id']}", f"{at}/resource_id")
        return
    if any(category not in resource.categories for category in _list(subscription.get("cats"))):
        yield Fault("unknown_category", pointer=f"{at}/cats")
    declared = resource.fields.get("properties", {})
    changed = (split_pointer(operation["pointer"])[-1] for operation in subscription.get("operations", ()))
    written = subscription.get("custom_fields")
    for name in (*(written if isinstance(written, dict) else ()), *changed):
        if name not in declared and not name.startswith("_"):
            yield Fault("unknown_field", pointer=f"{at}/custom_fields{join_pointer(name)}")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
