"""Erasure: a privacy deletion removes a person's profiles, and the data about the person in other records.

Opt-outs outlive it under a pseudonym of the address (a keyed hash), so that an address that comes back is not mailable.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from msgspec import structs

from gateway.core.consent import ReadLedgers, addresses_of, own_addresses
from gateway.core.edit import removal_write
from gateway.core.matching import ALIAS, CUSTOM, ID, identities
from gateway.core.model import (
    Address,
    Edit,
    EditResult,
    Erasure,
    Find,
    Identity,
    Job,
    Ledger,
    MemberChange,
    Profile,
    Tree,
    Write,
)
from gateway.core.normalization import email
from gateway.core.profile_tables import ProfileTables

Pseudonym: TypeAlias = Callable[[Address], Address]
"""Returns the keyed hash that replaces an address."""

_MAX_SEARCHED_VALUES = 100
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_NO_DIGITS = re.compile(r"[^0-9]+")


def erasure_edit(key: Sequence[Identity], tables: ProfileTables, pseudonym: Pseudonym | None) -> Edit:
    """Return the edit that removes every profile of a key, and erases what else is stored about them.

    The ledgers of their addresses move to pseudonyms. Without a pseudonym they remain: an opt-out stays in force.
    """

    def edit(find: Find) -> EditResult:
        profiles = find(key)
        names = {each.id: identities(each.document, tables) for each in profiles}
        addresses = list(own_addresses(key))
        addresses += [address for each in profiles for address in addresses_of(each.document, tables)]
        own = frozenset(key).union(*names.values())
        ids = frozenset(names) | {value for kind, value in own if kind in (ID, ALIAS)}
        return EditResult(
            next(iter(profiles), None),
            tuple(_erasure_write(each, tables) for each in profiles),
            ledgers=_moved(find.ledgers(addresses), pseudonym) if pseudonym else {},
            erasure=Erasure(ids, own | {(ID, id) for id in ids}),
        )

    return edit


def _erasure_write(profile: Profile, tables: ProfileTables) -> Write:
    """Return the write that removes a profile. Its entry in the journal has no value of the person."""
    return structs.replace(removal_write(profile, tables, "erase"), members=(MemberChange("", is_before_known=False),))


def _moved(ledgers: Mapping[Address, Ledger], pseudonym: Pseudonym) -> dict[Address, Ledger | None]:
    return dict.fromkeys(ledgers) | {pseudonym(address): ledger for address, ledger in ledgers.items()}


def ledger_reader(read: ReadLedgers, pseudonym: Pseudonym | None) -> ReadLedgers:
    """Return a reader that finds the ledger of an address under its pseudonym too, if it has none of its own."""
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
    failures = tuple(_erased(each) if _names_person(each, erasure) else each for each in job.failures)
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


def _erased(failure: Mapping[str, Any]) -> dict[str, Any]:
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
