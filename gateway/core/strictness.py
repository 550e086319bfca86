"""The places of a document whose strictest value remains where two documents meet."""

from typing import Any

from gateway.core.apply import merge_patch, restore_value
from gateway.core.consent import outlasts_globally
from gateway.core.model import Document
from gateway.core.pointer import value_at
from gateway.core.profile_tables import ProfileTables, StrictestRule


def with_strictest(document: Document, other: Document, tables: ProfileTables) -> Document:
    """Return the document with the stricter values of another one, at the places whose strictest value remains."""
    for rule in tables.strictest:
        document = _keep_strictest(document, value_at(other, rule.path), rule)
    return document


def with_lasting_status(document: Document, before: Document, tables: ProfileTables) -> Document:
    """Return the document with the global status that it had before, if that outlasts its new one."""
    status = value_at(before, tables.global_status)
    lasts = outlasts_globally(status, value_at(document, tables.global_status))
    return restore_value(document, before, tables.global_status) if lasts else document


def _keep_strictest(document: Document, other: Any, rule: StrictestRule) -> Document:
    """Return the document with the strictest of its own and another value at the place of a rule."""
    patch = _strictest(value_at(document, rule.path), other, rule)
    for name in reversed(rule.path):
        patch = {name: patch}
    result: Document = merge_patch(document, patch) if other is not None else document
    return result


def _strictest(own: Any, other: Any, rule: StrictestRule) -> Any:
    if own is None or other is None:
        return own if other is None else other
    if isinstance(own, dict) and isinstance(other, dict) and rule.member not in own:
        return {name: _strictest(own.get(name), other.get(name), rule) for name in {**own, **other}}
    places = [rule.order.index(_word(value, rule)) for value in (own, other) if _word(value, rule) in rule.order]
    return other if len(places) == 2 and places[1] > places[0] else own


def _word(value: Any, rule: StrictestRule) -> Any:
    return value.get(rule.member) if isinstance(value, dict) else value
