"""The change of one status to another in many subscriptions: those of a resource, of a channel, or all.

It is no explicit subscription: it lifts no opt-out, and the facts about an address apply as before.
"""

from collections.abc import Mapping, Sequence
from operator import is_not
from typing import Any, TypeAlias

from msgspec import Struct

from gateway.core.consent import DELETED, STATUSES, status_word
from gateway.core.edit import EditContext, document_result
from gateway.core.matching import identities_by_id
from gateway.core.model import Document, EditResult, Find, Identity, Write

Rule: TypeAlias = Mapping[str, Any]
"""The words `from` and `to`, and perhaps the `resource_id` and the `channel` of the subscriptions."""

NO_IDENTITIES: frozenset[Identity] = frozenset()


class StatusEdit(Struct, frozen=True):
    """The edit of the subscriptions of one profile. A profile that is there no longer is no fault."""

    id: str
    rule: Rule
    context: EditContext

    def __call__(self, find: Find) -> EditResult:
        profile = next(iter(find.profiles(identities_by_id(self.id))), None)
        if profile is None:
            return EditResult(None)
        document = change_statuses(profile.document, self.rule)
        replay = {"status_change": self.rule} if "merged" in document else None
        return document_result(profile, document, NO_IDENTITIES, NO_IDENTITIES, self.context, replay=replay)


def change_statuses(document: Document, rule: Rule) -> Document:
    """Return the document with the new status in each subscription of the rule. A number stays a number."""
    before = document.get("subscriptions", ())
    after = [_changed(one, rule["to"]) if applies(rule, one) else one for one in before]
    return {**document, "subscriptions": after} if any(map(is_not, after, before)) else document


def applies(rule: Rule, subscription: Mapping[str, Any]) -> bool:
    """Return whether a rule applies to a subscription. One to a resource is subscribed if it has no status."""
    if DELETED in subscription:
        return False
    status = status_word(subscription.get("status")) or (STATUSES[0] if "resource_id" in subscription else None)
    return status == rule["from"] and all(
        name not in rule or subscription.get(name) == rule[name] for name in ("resource_id", "channel")
    )


def changed_subscriptions(writes: Sequence[Write]) -> int:
    """Return the number of subscriptions whose status is another one after the writes of such edits."""
    pairs = ((write.before.document, write.after.document) for write in writes if write.before and write.after)
    return sum(
        old.get("status") != new.get("status")
        for before, after in pairs
        for old, new in zip(before["subscriptions"], after["subscriptions"], strict=True)
    )


def _changed(subscription: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    status = subscription.get("status")
    return {**subscription, "status": STATUSES.index(word) if isinstance(status, int) else word}
