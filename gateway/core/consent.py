"""Consent: what an address permits, whichever profile has it.

An opt-out, a complaint, a bounce and a suppression are facts about an address and a resource (or none). A store keeps
one ledger per address. The facts apply to every profile that has the address, now or later. A profile's subscription
has the stricter of its own status and the facts.

An explicit subscription lifts opt-outs, complaints and suppressions for its own profile and resource. It never lifts a
bounce or an invalid address. Facts have increasing numbers, and a subscription stores the highest number that it
lifts. So no other profile changes, and a later opt-out, which has a higher number, applies again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.core import matching, normalization
from gateway.core.matching import EMAIL, PHONE
from gateway.core.model import Address, Document, Fact, Find, Identity, Ledger
from gateway.core.pointer import value_at
from gateway.core.profile_tables import ProfileTables

ReadLedgers: TypeAlias = "Callable[[Sequence[Address]], Mapping[Address, Ledger]]"
"""The ledgers of addresses; an address without facts is left out."""

STATUSES = ("subscribed", "unsubscribed", "complained", "hardbounced", "unconfirmed", "suspended", "invalid")
"""The statuses of a subscription. The index of a word is the number that a client may send instead."""

WORDS: dict[Any, str] = {**dict(enumerate(STATUSES)), **{word: word for word in STATUSES}}
"""The word of each status, from its number or itself."""

UNCHANGED = -1
"""The status or priority of an edit that leaves it as it is."""

SUPPRESSED = "suppressed"
LIFTABLE = ("unsubscribed", "complained", SUPPRESSED)
PERMANENT = ("hardbounced", "invalid")
FACT_STATUSES = ("unsubscribed", "complained", *PERMANENT)
"""The statuses that are facts about the address."""
STRICTNESS = ("subscribed", "unconfirmed", "suspended", "unsubscribed", "complained", "invalid", "hardbounced")
"""Statuses from the loosest to the strictest."""

LIFTS, REASONS, OWN_STATUS, DELETED = "lifts", "reasons", "own_status", "deleted"
INTERNAL_MEMBERS = (LIFTS, REASONS, OWN_STATUS, DELETED)
"""Members of a subscription that no vendor's API has. `deleted`: it is found by no search, and gives no consent, but
keeps its status for a later edit, which restores it. `lifts`: the highest number of a fact that it lifts, which no
client sees. In an effective document only, where facts apply: `reasons`, reason → time of the facts, and `own_status`,
the status without them."""

AS_OF = "as_of"
"""The member of an update that was sent earlier (ms since 1970): it lifts no later fact."""

EVERY_RESOURCE = "*"
"""The resource, in a ledger, of facts that apply to every resource and to none: the address of an erased person."""

CHANNELS_OF_IDENTITY = {EMAIL: ("email",), PHONE: ("sms", "whatsapp")}
"""The channels that reach a profile at its own addresses, without a subscription."""

ADDRESS_MEMBERS = {"email": "email", "sms": "phone"}

SUPPRESSION_REASONS = (SUPPRESSED, "complained", *PERMANENT)
"""The reasons that forbid mail to an address, whatever the profile consented to."""


def status_word(status: Any) -> str | None:
    """Return the word of a status. None for an absent status, and for -1, which leaves the status as it is."""
    if isinstance(status, int):
        return STATUSES[status] if status >= 0 else None
    return str(status) if status else None


def strictest(first: Any, second: Any) -> Any:
    """Return the stricter of two statuses, words or numbers; the first if they are equally strict."""
    first_word, second_word = status_word(first), status_word(second)
    if first_word is None or second_word is None:
        return first if second_word is None else second
    return second if STRICTNESS.index(second_word) > STRICTNESS.index(first_word) else first


def outlasts(status: Any, new: Any) -> bool:
    """Return whether a status of a subscription stays as it is, number or word, when an edit gives a new one."""
    old_word, new_word = status_word(status), status_word(new)
    if old_word not in FACT_STATUSES or new_word is None or STRICTNESS.index(new_word) >= STRICTNESS.index(old_word):
        return False
    return old_word in PERMANENT or new_word != STATUSES[0]


def outlasts_globally(status: Any, new: Any) -> bool:
    """Return whether the global status of a profile stays when an update gives a new one, or none.

    It names no address and no resource. So `subscribed` is an explicit subscription after an unsubscription only.
    """
    old_word, new_word = status_word(status), status_word(new)
    if new_word is None:
        return old_word not in (None, STATUSES[0])
    return outlasts(status, new) or (old_word == "complained" and new_word == STATUSES[0])


def address_of(subscription: Mapping[str, Any]) -> Address:
    """Return the address of a subscription."""
    channel = subscription["channel"]
    names, value = matching.channel_address(subscription)
    return f"{channel}:{value or ''}" if len(names) < 2 else ":".join((channel, *names[1:], value or ""))


def addresses_of(document: Document, tables: ProfileTables) -> list[Address]:
    """Return the addresses of a document: its own, and those of its subscriptions. One may be there twice."""
    addresses = [*own_addresses(matching.identities_of_kinds(document, tables, CHANNELS_OF_IDENTITY))]
    addresses += map(address_of, document.get("subscriptions", ()))
    return addresses


def own_addresses(identities: Iterable[Identity]) -> list[Address]:
    """Return the addresses that reach a profile without a subscription, from its identities."""
    addresses = []
    for kind, value in sorted(identities):
        for channel in CHANNELS_OF_IDENTITY.get(kind, ()):
            addresses.append(f"{channel}:{value}")  # noqa: PERF401 — a comprehension costs a call
    return addresses


# --- reading ---


def effective_document(document: Document, tables: ProfileTables, ledgers: Mapping[Address, Ledger]) -> Document:
    """Return the document as clients see it: each subscription with the strictest status that applies.

    An own address with facts but without a subscription gets one, so that every dialect shows the facts.
    """
    identities = matching.identities_of_kinds(document, tables, CHANNELS_OF_IDENTITY)
    subscriptions = [_effective(one, ledgers) for one in document.get("subscriptions", ())]
    present = {address_of(one) for one in subscriptions if "resource_id" not in one and DELETED not in one}
    missing = [each for each in dict.fromkeys(own_addresses(identities)) if each in ledgers and each not in present]
    bare = [_with_facts(bare_subscription(each), ledgers[each]) for each in missing]
    subscriptions += [one for one in bare if "status" in one]
    return {**document, "subscriptions": subscriptions} if subscriptions else document


def bare_subscription(address: Address) -> dict[str, Any]:
    """Return a subscription without status to an own address of a profile."""
    channel, _, value = address.partition(":")
    member = ADDRESS_MEMBERS.get(channel)
    return {"channel": channel, **({member: value} if member else {"cc_data": {"phone": value}})}


def _effective(subscription: Mapping[str, Any], ledgers: Mapping[Address, Ledger]) -> Mapping[str, Any]:
    ledger = ledgers.get(address_of(subscription))
    return _with_facts(subscription, ledger) if ledger else subscription


def _with_facts(subscription: Mapping[str, Any], ledger: Ledger) -> Mapping[str, Any]:
    """Return a subscription with the facts that apply: as `reasons`, and in its status."""
    lifts = subscription.get(LIFTS, 0)
    reasons = {
        name: fact.time
        for resource in (EVERY_RESOURCE, resource_key(subscription))
        for name, fact in ledger.facts.get(resource, {}).items()
        if name in PERMANENT or fact.number > lifts
    }
    if not reasons:
        return subscription
    own = subscription.get("status")
    status = own
    for reason in reasons:
        status = strictest(status, "suspended" if reason == SUPPRESSED else reason)
    if isinstance(own, int) and isinstance(status, str):
        status = STATUSES.index(status)
    return {**subscription, "status": status, REASONS: reasons, OWN_STATUS: own}


def suppressions_of(document: Document) -> dict[str, int]:
    """Return reason and time of what forbids mail to the present address of an effective document."""
    value = document.get("email")
    address = f"email:{normalization.email(value)}" if isinstance(value, str) else ""
    subscriptions = (one for one in document.get("subscriptions", ()) if "resource_id" not in one)
    reasons: dict[str, int] = next((one.get(REASONS, {}) for one in subscriptions if address_of(one) == address), {})
    return {reason: time for reason, time in reasons.items() if reason in SUPPRESSION_REASONS}


def resource_key(subscription: Mapping[str, Any]) -> str:
    """Return the resource of a subscription as a ledger names it."""
    return str(subscription.get("resource_id", ""))


# --- writing ---


def record(ledger: Ledger, resource: str, reason: str, time: int) -> Ledger:
    """Return the ledger with a fact. An existing fact stays as it is, unless a profile has lifted it."""
    facts = ledger.facts.get(resource, {})
    if reason in facts and not facts[reason].is_lifted:
        return ledger
    number = ledger.number + 1
    return Ledger(number, {**ledger.facts, resource: {**facts, reason: Fact(time, number)}})


def remove(ledger: Ledger, resource: str, reason: str, as_of: int | None = None) -> Ledger:
    """Return the ledger without a fact. Its number is not used again. A fact that is not before `as_of` stays."""
    fact = ledger.facts.get(resource, {}).get(reason)
    if fact is None or (as_of is not None and fact.time >= as_of):
        return ledger
    facts = {name: fact for name, fact in ledger.facts.get(resource, {}).items() if name != reason}
    return Ledger(ledger.number, {**ledger.facts, resource: facts})


def lift(ledger: Ledger, resource: str, as_of: int | None = None) -> tuple[Ledger, int]:
    """Return the ledger after an explicit subscription, and the highest number that it lifts; 0 if none.

    A fact that is not before `as_of` is not lifted.
    """
    liftable = [
        (name, reason, fact)
        for name in (EVERY_RESOURCE, resource)
        for reason, fact in ledger.facts.get(name, {}).items()
        if reason in LIFTABLE and (as_of is None or fact.time < as_of)
    ]
    number = max((fact.number for *_, fact in liftable), default=0)
    if all(fact.is_lifted for *_, fact in liftable):
        return ledger, number
    facts = dict(ledger.facts)
    for name, reason, fact in liftable:
        facts[name] = {**facts[name], reason: Fact(fact.time, fact.number, is_lifted=True)}
    return Ledger(ledger.number, facts), number


def may_change_consent(update: Mapping[str, Any], find: Find) -> bool:
    """Return whether an update may change a ledger, or a subscription because of one."""
    if "suppressions" in update:
        return True
    for edit in update.get("subscriptions", ()):
        if WORDS.get(edit.get("status")) in FACT_STATUSES:
            return True
    return "subscriptions" in update and find.has_ledgers()


def changes_facts(update: Mapping[str, Any]) -> bool:
    """Return whether an update may add or remove facts. A subscription only lifts them, for its own profile."""
    words = (WORDS.get(edit.get("status")) for edit in update.get("subscriptions", ()))
    return "suppressions" in update or any(word in FACT_STATUSES for word in words)


def apply_consent(
    document: Document, update: Mapping[str, Any], read: ReadLedgers, time: int
) -> tuple[Document, dict[Address, Ledger]]:
    """Apply the explicit statuses and the suppressions of an update to the ledgers of their addresses.

    Return the document, in which a subscription has the number that it lifts, and the ledgers that changed. `document`
    is the result of the update; an edit that it omitted has no effect. Without a document every edit has one.
    """
    statuses = explicit_statuses(document, update["subscriptions"]) if "subscriptions" in update else []
    suppressions = update.get("suppressions", {})
    suppressed, restored = (list(map(address_of, suppressions.get(name, ()))) for name in ("add", "remove"))
    addresses = [*(address for address, *_ in statuses), *suppressed, *restored]
    if not addresses:
        return document, {}
    before = read(addresses)
    if not before and not suppressed and all(word not in FACT_STATUSES for *_, word in statuses):
        return document, {}  # nothing to lift, and nothing to record
    ledgers = {address: before.get(address, Ledger()) for address in addresses}
    lifts: dict[tuple[Address, str], int] = {}
    as_of = update.get(AS_OF)
    for address, resource, word in statuses:
        if word == STATUSES[0]:
            ledgers[address], lifts[address, resource] = lift(ledgers[address], resource, as_of)
        elif word in FACT_STATUSES:
            ledgers[address] = record(ledgers[address], resource, word, time)
    ledgers |= {address: record(ledgers[address], "", SUPPRESSED, time) for address in suppressed}
    ledgers |= {address: remove(ledgers[address], "", SUPPRESSED, as_of) for address in restored}
    changed = {address: ledger for address, ledger in ledgers.items() if ledger != before.get(address, Ledger())}
    return with_lifts(document, lifts), changed


def opt_outs_of_global_status(document: Document, tables: ProfileTables) -> list[dict[str, Any]]:
    """Return the opt-outs at its e-mail addresses that remain of a profile's global status when it is removed.

    A phone needs none: without an explicit subscription nothing is sent to it, and others may share it.
    """
    word = status_word(value_at(document, tables.global_status))
    if word not in FACT_STATUSES:
        return []
    addresses = own_addresses(matching.identities_of_kinds(document, tables, (EMAIL,)))
    return [{**bare_subscription(address), "status": word} for address in addresses]


def explicit_statuses(document: Document, edits: Iterable[Mapping[str, Any]]) -> list[tuple[Address, str, str]]:
    """Return address, resource and word of each status that the edits give.

    An edit with operations may have been omitted; of several edits of one subscription each one counts.
    """
    explicit = [(edit, word) for edit in edits if (word := status_word(edit.get("status")))]
    keyed = [(edit, *_key(edit), word) for edit, word in explicit]
    if not document or not any("operations" in edit for edit, _ in explicit):
        return [(address, resource, word) for _, address, resource, word in keyed]
    words = {_key(one): status_word(one.get("status")) for one in document.get("subscriptions", ())}
    return [
        (address, resource, word)
        for edit, address, resource, word in keyed
        if "operations" not in edit or words.get((address, resource)) == word
    ]


def _key(subscription: Mapping[str, Any]) -> tuple[Address, str]:
    return address_of(subscription), resource_key(subscription)


def with_lifts(document: Document, lifts: Mapping[tuple[Address, str], int]) -> Document:
    """Return the document whose subscriptions have the numbers that they lift."""
    before = document.get("subscriptions", [])
    after = [{**one, LIFTS: number} if (number := lifts.get(_key(one), 0)) else one for one in before]
    return document if after == before else {**document, "subscriptions": after}


def without_lifts_of(document: Document, addresses: Iterable[Address]) -> Document:
    """Return the document whose subscriptions without resource lift nothing at these addresses."""
    strict = set(addresses)
    before = document.get("subscriptions", [])
    after = [
        {name: value for name, value in one.items() if name != LIFTS}
        if LIFTS in one and "resource_id" not in one and address_of(one) in strict
        else one
        for one in before
    ]
    return document if after == before else {**document, "subscriptions": after}


def bare_addresses(document: Document, identities: Iterable[Identity]) -> set[Address]:
    """Return the own addresses of a document that it has no subscription without resource to."""
    subscribed = {address_of(one) for one in document.get("subscriptions", ()) if "resource_id" not in one}
    return set(own_addresses(identities)) - subscribed


def combine_subscriptions(subscriptions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one subscription for each address and resource: the first, with the strictest status of all."""
    combined: dict[Any, Mapping[str, Any]] = {}
    for one in subscriptions:
        key = matching.subscription_address(one)
        combined[key] = _strictest_of(combined[key], one) if key in combined else one
    return list(combined.values())


def _strictest_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> Mapping[str, Any]:
    status = strictest(first.get("status"), second.get("status"))
    lifts = min(first.get(LIFTS, 0), second.get(LIFTS, 0))
    members = {"status": status, LIFTS: lifts or None, DELETED: (DELETED in first and DELETED in second) or None}
    kept = {name: value for name, value in first.items() if name not in members}
    return {**kept, **{name: value for name, value in members.items() if value is not None}}
