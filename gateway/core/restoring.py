"""Rows of a dump where a store has the same ones: the later opt-out of the two stays."""

from msgspec.structs import replace

from gateway.core.apply import merge_patch
from gateway.core.consent import combine_subscriptions
from gateway.core.matching import subscription_address
from gateway.core.model import Document, Fact, Ledger, Profile
from gateway.core.profile_tables import ProfileTables
from gateway.core.strictness import with_strictest


def restored_profile(stored: Profile, loaded: Profile, tables: ProfileTables) -> Profile:
    """Return the profile that replaces a stored one by that of a dump.

    Where the stored one is later, its stricter consent stays, and so does its time: a second load has the same result.
    """
    if stored.updated <= loaded.updated:
        return loaded
    document = with_strictest(_with_subscriptions(loaded.document, stored.document), stored.document, tables)
    return loaded if document == loaded.document else replace(loaded, document=document, updated=stored.updated)


def _with_subscriptions(document: Document, stored: Document) -> Document:
    """Return the document whose subscriptions have the strictest status of their own and of the stored ones."""
    before = document.get("subscriptions", [])
    own = {subscription_address(one) for one in before}
    others = [one for one in stored.get("subscriptions", ()) if subscription_address(one) in own]
    result: Document = merge_patch(document, {"subscriptions": combine_subscriptions([*before, *others]) or None})
    return result


def united_ledger(stored: Ledger, loaded: Ledger) -> Ledger:
    """Return the ledger with the facts of both, the later one of each reason.

    Profiles of the one store may lift numbers of facts that the other store used for others. So a fact that is not of
    both, and whose number the other one used, gets a further number, which nobody lifts.
    """
    facts: dict[str, dict[str, Fact]] = {}
    number = max(stored.number, loaded.number)
    for resource in {**stored.facts, **loaded.facts}:
        united = facts.setdefault(resource, {})
        sides = (stored.facts.get(resource, {}), loaded.number), (loaded.facts.get(resource, {}), stored.number)
        for reason in {**sides[0][0], **sides[1][0]}:
            found = [(each[reason], other) for each, other in sides if reason in each]
            fact, other = max(found, key=_age)
            if len(found) == len(sides) and len(set(map(_age, found))) == 1:
                fact = replace(fact, is_lifted=any(each.is_lifted for each, _ in found))
            elif fact.number <= other:
                number += 1
                fact = Fact(fact.time, number)
            united[reason] = fact
    return Ledger(number, facts)


def _age(found: tuple[Fact, int]) -> tuple[int, int]:
    """Return what later facts have more of."""
    return found[0].time, found[0].number
