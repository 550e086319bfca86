"""Erasure: a privacy deletion removes a person's profiles, and the data about the person in other records.

Opt-outs outlive it under a pseudonym of the address (a keyed hash), so that an address that comes back is not mailable.
Tombstones (`core.tombstones`) outlive it for some days.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any

from msgspec import Struct, structs

from gateway.core.consent import (
    EVERY_RESOURCE,
    ReadLedgers,
    address_of,
    bare_subscription,
    own_addresses,
    record,
    resource_key,
)
from gateway.core.consent_changes import with_consent_changes
from gateway.core.edit import removal_write
from gateway.core.journal import UNKNOWN_VALUES
from gateway.core.matching import ALIAS, CUSTOM, EMAIL, EXTERNAL_ID, ID, PHONE, TAGS, identities
from gateway.core.model import (
    Address,
    EditResult,
    Erasure,
    Find,
    Identity,
    Job,
    Ledger,
    Profile,
    Tree,
    Write,
)
from gateway.core.normalization import email, phone
from gateway.core.profile_tables import ProfileTables
from gateway.core.relations import without_relations
from gateway.core.selection import require_profile
from gateway.core.tombstones import Pseudonym, tombstone, tombstone_address

_MAX_SEARCHED_VALUES = 100
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_NO_DIGITS = re.compile(r"[^0-9]+")
_SEPARATORS = re.compile(r"""[\s<>()\[\],;:"'?=&/|]+""")


class ErasureEdit(Struct, frozen=True):
    """The edit that erases the profile of a key, or with `on_multiple` = `all` every one, and may then find none.

    An erasure withdraws every consent. The ledgers of the person's addresses, which say so, move to pseudonyms, and
    tombstones of `time` (ms since 1970) are added. Without a pseudonym the ledgers stay as they are: an opt-out stays
    in force. The edit raises `Refusal`: profile_not_found, ambiguous_match. `removed` are the ids of profiles that the
    person had; `jobs_since` is that of the erasure.
    """

    key: tuple[Identity, ...]
    tables: ProfileTables
    pseudonym: Pseudonym | None
    time: int
    on_multiple: str | None = None
    removed: frozenset[str] = frozenset()
    jobs_since: int = 0

    def __call__(self, find: Find) -> EditResult:
        profiles = self.select(find.profiles(self.key))
        erasure = self.erasure(profiles)
        related = without_relations(find, sorted(erasure.ids), self.tables, self.time, profiles)
        writes = (*(_erasure_write(each, self.tables) for each in profiles), *related)
        result = EditResult(next(iter(profiles), None), writes, erasure=erasure)
        return self._with_opt_outs(result, profiles, find, self.pseudonym) if self.pseudonym else result

    def _with_opt_outs(
        self, result: EditResult, profiles: Sequence[Profile], find: Find, pseudonym: Pseudonym
    ) -> EditResult:
        """Return the result with the ledgers, and an entry for each other profile that has one of the addresses."""
        assert result.erasure is not None
        subscriptions = _subscriptions(profiles, self.key, self.tables)
        read = ledger_reader(pseudonym, find)
        opted_out = _with_opt_outs(subscriptions, read, self.time)
        moved: dict[Address, Ledger | None] = dict.fromkeys(find.ledgers(list(opted_out)))
        moved |= {pseudonym(address): ledger for address, ledger in opted_out.items()}
        names = (tombstone_address(pseudonym, *identity) for identity in result.erasure.identities)
        moved |= dict.fromkeys(names, tombstone(self.time))
        command = {"subscriptions": subscriptions}
        return with_consent_changes(structs.replace(result, ledgers=moved), opted_out, command, find, read, self.tables)

    def select(self, found: list[Profile]) -> list[Profile]:
        """Return those to erase of the profiles that the key finds. Raises `Refusal`."""
        return found if self.on_multiple == "all" else [require_profile(found, self.key, self.tables)]

    def erasure(self, profiles: Sequence[Profile]) -> Erasure:
        """Return the persons of the profiles that are erased."""
        own = frozenset(self.key).union(*(identities(each.document, self.tables) for each in profiles))
        own = frozenset(each for each in own if not each[0].startswith(f"{TAGS}/"))  # persons share a tag
        ids = self.removed | {each.id for each in profiles} | {value for kind, value in own if kind in (ID, ALIAS)}
        tombstone_of = partial(tombstone_address, self.pseudonym) if self.pseudonym else None
        return Erasure(ids, own | {(ID, id) for id in ids}, tombstone_of, self.time, self.jobs_since)


def _with_opt_outs(subscriptions: Sequence[Mapping[str, Any]], read: ReadLedgers, time: int) -> dict[Address, Ledger]:
    """Return the ledgers of the addresses of subscriptions, with an opt-out for each resource and for none.

    One for every resource applies to those too that the person never had a subscription to.
    """
    keys = {
        (address_of(one), resource) for one in subscriptions for resource in ("", resource_key(one), EVERY_RESOURCE)
    }
    before = read(sorted({address for address, _ in keys}))
    ledgers: dict[Address, Ledger] = {}
    for address, resource in sorted(keys):
        ledger = ledgers.get(address) or before.get(address, Ledger())
        ledgers[address] = record(ledger, resource, "unsubscribed", time)
    return ledgers


def _erasure_write(profile: Profile, tables: ProfileTables) -> Write:
    """Return the write that removes a profile. Its entry in the journal has no value of the person."""
    return structs.replace(removal_write(profile, tables, "erase"), members=(UNKNOWN_VALUES,))


def _subscriptions(
    profiles: Sequence[Profile], key: Sequence[Identity], tables: ProfileTables
) -> list[Mapping[str, Any]]:
    """Return the subscriptions of profiles, and one to each address of a key and each own address of the profiles."""
    own = frozenset(key).union(*(identities(each.document, tables) for each in profiles))
    bare = map(bare_subscription, own_addresses(own))
    return [*bare, *chain.from_iterable(each.document.get("subscriptions", ()) for each in profiles)]


def ledger_reader(pseudonym: Pseudonym | None, find: Find) -> ReadLedgers:
    """Return a reader that finds the ledger of an address under its pseudonym too, if it has none of its own."""
    read = find.ledgers
    if pseudonym is None:
        return read

    def read_both(addresses: Sequence[Address]) -> Mapping[Address, Ledger]:
        names = {address: pseudonym(address) for address in addresses}
        return resolve_pseudonyms(read([*names, *names.values()]), names)

    return read_both


def resolve_pseudonyms(ledgers: Mapping[Address, Ledger], names: Mapping[Address, Address]) -> dict[Address, Ledger]:
    """Return the ledgers of addresses, from those of the addresses and of their pseudonyms (`names`)."""
    found = {address: ledgers.get(address) or ledgers.get(name) for address, name in names.items()}
    return {address: ledger for address, ledger in found.items() if ledger is not None}


def erase_from_job(job: Job, erasure: Erasure) -> Job:
    """Return the job without the data about erased persons in its results; the job itself if there is none."""
    profiles = tuple(id for id in job.profiles if id not in erasure.ids)
    failures = tuple(without_person(each) if _names_person(each, erasure) else each for each in job.failures)
    if len(profiles) == len(job.profiles) and failures == job.failures:
        return job
    return replace(job, profiles=profiles, failures=failures)


def may_name_person(text: str, erasure: Erasure) -> bool:
    """Return whether the results of a job, as JSON, may have an identity of the person.

    It never misses one, and is much faster than `erase_from_job`. Many or non-ASCII identities always may.
    """
    values = {value for _, value in erasure.identities}
    if len(values) > _MAX_SEARCHED_VALUES or not all(map(_is_plain, values)):
        return True
    digits, lower = text.encode().translate(None, _NOT_DIGITS), text.lower()
    return any(
        json.dumps(value)[1:-1].lower() in lower or (value.startswith("+") and value[1:].encode() in digits)
        for value in values
    )


def _is_plain(value: str) -> bool:
    """Return whether no other form of a value has other letters: it is ASCII, and no international domain."""
    return value.isascii() and "xn--" not in value


def without_person(failure: Mapping[str, Any]) -> dict[str, Any]:
    """Return a failure of a job without what was sent, and without what its faults say of it."""
    faults = [{**fault, "detail": "", "profile": ""} for fault in failure["faults"]]
    return {"index": failure["index"], "faults": faults, "sent": {}}


def _names_person(failure: Mapping[str, Any], erasure: Erasure) -> bool:
    """Return whether a failure has an identity of the person, in whatever form it was sent."""
    shared = {value for kind, value in erasure.identities if "/" not in kind}
    return any(
        not shared.isdisjoint(_forms(text)) or (f"{CUSTOM}/{name}", text) in erasure.identities
        for name, text in _leaves("", failure)
    )


def _forms(text: str) -> Iterator[str]:
    """Yield a text, and its normal forms as an e-mail address and as a phone."""
    yield text
    if "@" in text:
        yield text.lower() if text.isascii() else email(text) or text
    yield "+" + _NO_DIGITS.sub("", text)


def possible_identities(tree: Tree) -> set[Identity]:
    """Return every identity that a value of a decoded body may be, whatever its member means."""
    found: set[Identity] = set()
    for name, text in _leaves("", tree):
        found |= {(kind, form) for form in _forms(text) for kind in (EMAIL, PHONE)}
        found |= {(EXTERNAL_ID, text), (ID, text), (f"{CUSTOM}/{name}", text)}
    return found


def possible_texts(tree: Tree, without: Collection[str], max_values: int) -> set[str] | None:
    """Return every text that an identity may have which a decoded body names; None if it has more values.

    The members `without`, by name, are left out.
    """
    values = list(islice((text for name, text in _leaves("", tree) if name not in without), max_values + 1))
    if len(values) > max_values:
        return None
    texts = chain(values, (name for name in _member_names(tree) if "@" in name))
    return {form for text in texts for part in _parts(text) for form in _forms(part)} - {"", "+"}


def _parts(text: str) -> Iterator[str]:
    """Yield a text, and what it has between separators where that may be an e-mail address."""
    yield text
    yield text.strip()
    if "@" in text:
        yield from (part.strip(".") for part in _SEPARATORS.split(text) if "@" in part)


def normal_forms(text: str) -> set[str]:
    """Return a text, and the forms in which a store may have it: in lower case, as an address, and as JSON."""
    forms = {text, text.lower(), email(text) or text, phone(text) or text}
    return forms | {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}


def _member_names(tree: Tree) -> Iterator[str]:
    """Yield the name of each member, at any depth."""
    if isinstance(tree, Mapping):
        yield from tree
    if isinstance(tree, Mapping | list):
        for value in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _member_names(value)


def _leaves(name: str, tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each value."""
    if isinstance(tree, Mapping):
        for member, value in tree.items():
            yield from _leaves(member, value)
    elif isinstance(tree, Sequence) and not isinstance(tree, str):
        for value in tree:
            yield from _leaves(name, value)
    elif tree is not None:
        yield name, str(tree)
