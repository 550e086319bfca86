"""Changes of subscriptions that depend on which ones a profile has."""

from collections.abc import Mapping, Sequence
from operator import is_not
from typing import Any, TypeAlias

from gateway.core.consent import DELETED, INTERNAL_MEMBERS, STATUSES, STRICTNESS, status_word
from gateway.core.faults import refuse
from gateway.core.matching import subscription_address
from gateway.core.model import Document, Update

ADDRESS_MEMBERS = (
    *("resource_id", "channel", "email", "phone", "provider", "subscription_id", "cc_data", "field_name"),
    "field_value",
)

EACH, MOVE, CATEGORIES, STATUS = "each_subscription", "move_subscription", "categories", "subscription_status"
"""The members of an update with such changes. The first two become edits of subscriptions, before all others."""

KEEP_OPT_OUTS, IN_SUBSCRIPTIONS = "keep_opt_outs", "subscriptions"
"""The member of an update that is no explicit subscription, and leaves the stricter consent as it is. With this value
that holds for its subscriptions alone."""

Rule: TypeAlias = Mapping[str, Any]
"""The words `from` and `to`, and perhaps members of the address of the subscriptions, such as the `resource_id`."""


def with_edits(document: Document, update: Update) -> Update:
    """Return the update with the edits of its changes. Raises `Refusal`: unknown_subscription."""
    edits: list[Mapping[str, Any]] = []
    if EACH in update:
        edits += _edits_of_each(document, update[EACH])
    if MOVE in update:
        edits += _edits_of_move(document, update[MOVE])
    edits += update.get("subscriptions", ())
    if KEEP_OPT_OUTS in update:
        edits = _without_opt_ins(document, edits)
    return {**update, "subscriptions": edits} if edits else update


def change_categories(document: Document, rule: Mapping[str, Any]) -> Document:
    """Return the document with the categories added to the subscriptions of a rule, and removed from them.

    Raises `Refusal`: unknown_subscription.
    """
    before = document.get("subscriptions", [])
    named = [_is_named(one, rule) for one in before]
    if not any(named):
        raise refuse("unknown_subscription")
    after = [_with_categories(one, rule) if is_named else one for one, is_named in zip(before, named, strict=True)]
    return {**document, "subscriptions": after} if any(map(is_not, after, before)) else document


def change_statuses(document: Document, rule: Rule) -> Document:
    """Return the document with the new status in each subscription of the rule. A number stays a number."""
    before = document.get("subscriptions", ())
    after = [_with_status(one, rule["to"]) if applies(rule, one) else one for one in before]
    return {**document, "subscriptions": after} if any(map(is_not, after, before)) else document


def applies(rule: Rule, subscription: Mapping[str, Any]) -> bool:
    """Return whether a rule applies to a subscription. One to a resource is subscribed if it has no status."""
    if DELETED in subscription:
        return False
    status = status_word(subscription.get("status")) or (STATUSES[0] if "resource_id" in subscription else None)
    return status == rule["from"] and all(
        name not in rule or subscription.get(name) == rule[name] for name in ADDRESS_MEMBERS
    )


def _with_status(subscription: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    status = subscription.get("status")
    return {**subscription, "status": STATUSES.index(word) if isinstance(status, int) else word}


def _with_categories(subscription: Mapping[str, Any], rule: Mapping[str, Any]) -> Mapping[str, Any]:
    before = subscription.get("cats", [])
    removed = rule.get("remove", ())
    after = [each for each in dict.fromkeys([*before, *rule.get("add", ())]) if each not in removed]
    return subscription if after == before else {**subscription, "cats": after}


def _is_named(subscription: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    """Return whether a rule is for a subscription: what it names of the address is equal."""
    return DELETED not in subscription and all(
        name not in rule or subscription.get(name) == rule[name] for name in ADDRESS_MEMBERS
    )


def _edits_of_each(document: Document, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the edits that give a status to each subscription of a rule."""
    subscriptions = [one for one in document.get("subscriptions", ()) if _is_named(one, rule)]
    if not subscriptions:
        raise refuse("unknown_subscription")
    return [{**_address(one), "status": rule["status"]} for one in subscriptions]


def _edits_of_move(document: Document, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the edits that give another address to a subscription. The one with the former address is deleted.

    Without the former one, the new subscription has the status of the latest of its resource and channel, if the rule
    permits that. A status that is moved is no explicit subscription: it lifts no opt-out of the new address.
    """
    former, address = rule["from"], rule["to"]
    present: Sequence[Mapping[str, Any]] = [one for one in document.get("subscriptions", ()) if DELETED not in one]
    old = next((one for one in present if subscription_address(one) == subscription_address(former)), None)
    if old is not None:
        kept = {name: value for name, value in old.items() if name not in (*ADDRESS_MEMBERS, *INTERNAL_MEMBERS)}
        moved = {**kept, **address}
        edits = [{**_address(old), DELETED: True}] if subscription_address(old) != subscription_address(address) else []
        return [*edits, _without_subscribed(moved)]
    if rule.get("if_absent") != "add":
        raise refuse("unknown_subscription")
    same = [one for one in present if all(one.get(name) == address.get(name) for name in ("resource_id", "channel"))]
    status = same[-1].get("status") if same else None
    return [_without_subscribed({**address, **({} if status is None else {"status": status})})]


def _without_subscribed(subscription: Mapping[str, Any]) -> dict[str, Any]:
    is_subscribed = status_word(subscription.get("status")) == STATUSES[0]
    return {name: value for name, value in subscription.items() if name != "status" or not is_subscribed}


def _without_opt_ins(document: Document, edits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the edits without statuses that are looser than the stored one, and with none that is explicit."""
    stored = {subscription_address(one): one for one in document.get("subscriptions", ())}
    return [_without_opt_in(edit, stored.get(subscription_address(edit), {})) for edit in edits]


def _without_opt_in(edit: Mapping[str, Any], stored: Mapping[str, Any]) -> Mapping[str, Any]:
    word, stored_word = status_word(edit.get("status")), status_word(stored.get("status"))
    rest = {name: value for name, value in edit.items() if name != "status"}
    if word and stored_word and STRICTNESS.index(word) < STRICTNESS.index(stored_word):
        return rest
    if word != STATUSES[0]:
        return edit
    if stored_word:
        return rest
    setting = {"function": "set", "pointer": "/status", "value": edit["status"]}
    return {**rest, "operations": [*edit.get("operations", ()), setting]}


def _address(subscription: Mapping[str, Any]) -> dict[str, Any]:
    return {name: subscription[name] for name in ADDRESS_MEMBERS if name in subscription}
