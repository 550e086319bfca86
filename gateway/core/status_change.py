"""The change of one status to another in many subscriptions: those of a resource, of a channel, or all.

It is no explicit subscription: it lifts no opt-out, and the facts about an address apply as before.
"""

from collections.abc import Sequence

from msgspec import Struct

from gateway.core.edit import EditContext, document_result
from gateway.core.matching import identities_by_id
from gateway.core.model import EditResult, Find, Identity, Write
from gateway.core.subscription_rules import Rule, change_statuses

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


def changed_subscriptions(writes: Sequence[Write]) -> int:
    """Return the number of subscriptions whose status is another one after the writes of such edits."""
    pairs = ((write.before.document, write.after.document) for write in writes if write.before and write.after)
    return sum(
        old.get("status") != new.get("status")
        for before, after in pairs
        for old, new in zip(before["subscriptions"], after["subscriptions"], strict=True)
    )
