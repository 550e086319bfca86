"""Edits: the pure functions that a store runs inside its atomic step, made from checked updates.

Each finds its profile by the key, decides, and says what to write; it may be run again on other findings.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from gateway.core.apply import applied, difference, merged
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.matching import UNIQUE, identities
from gateway.core.model import Document, Edit, Edited, Find, Identity, Profile, Update, Write
from gateway.core.pointer import pointer_to

Check = Callable[[Document], list[Fault]]
"""The faults of a document that is about to be stored."""


def updating(
    update: Update, key: tuple[Identity, ...], identifiers: tuple[str, ...], check: Check, new_id: str, now: int
) -> Edit:
    """The edit of one update. `identifiers` are the database's own fields that name a profile; `now` is in milliseconds.

    Its refusals: profile_not_found, ambiguous_match, match_not_in_data, identifier_taken, and what the functions and the
    check find.
    """

    def edit(find: Find) -> Edited:
        profile = _the_one(find(key)) if key else None
        if profile is None and not update.get("create"):
            raise refuse("profile_not_found")
        document, faults = applied(profile.document if profile else {}, update)
        if profile is None:
            document = _taking_the_match(document, update["match"])
        faults += check(document)
        if faults:
            raise Refusal(faults)
        before = identities(profile.document, identifiers) if profile else frozenset()
        after = identities(document, identifiers)
        if profile is None:
            _demand_findable(key, after, update["match"]["mode"])
        _demand_free(find, after - before, update.get("conflict", {}), profile)
        return _edited(profile, document, after - before, before - after, new_id, now)

    return edit


def removing(key: tuple[Identity, ...], identifiers: tuple[str, ...]) -> Edit:
    """The edit that removes the one profile of a key. Its refusals: profile_not_found, ambiguous_match."""

    def edit(find: Find) -> Edited:
        profile = _the_one(find(key))
        if profile is None:
            raise refuse("profile_not_found")
        lost = identities(profile.document, identifiers)
        patch = ({"op": "remove", "path": ""},)
        return Edited(profile, (Write(profile, None, lost=lost, patch=patch),))

    return edit


def the_one(profiles: list[Profile]) -> Profile:
    """The single profile of a search. Raises `Refusal`: profile_not_found, ambiguous_match."""
    profile = _the_one(profiles)
    if profile is None:
        raise refuse("profile_not_found")
    return profile


def _the_one(profiles: list[Profile]) -> Profile | None:
    if len(profiles) > 1:
        raise refuse("ambiguous_match", f"{len(profiles)} profiles match")
    return profiles[0] if profiles else None


def _taking_the_match(document: Document, match: Mapping[str, Any]) -> Document:
    """A new profile takes the match value where its data lacks it; a subscription it must bring itself."""
    mode, values = match["mode"], match["values"]
    if mode in ("email", "email_profile", "email_phone") and "email" in values:
        document = {"email": values["email"], **document}
    if mode in ("phone", "email_phone") and "phone" in values:
        document = {"phone_numbers": [values["phone"]], **document}
    if mode == "custom":
        own = {values["field_name"]: values["field_value"], **document.get("custom", {})}
        document = merged(document, {"custom": own})
    return document


def _demand_findable(key: tuple[Identity, ...], after: frozenset[Identity], mode: str) -> None:
    """Refuses a new profile that its own call would not find again, and so would make anew each time.

    An identity that no two profiles may share needs no such guard: the second call meets it as taken.
    """
    if key and not any(kind.partition("/")[0] in UNIQUE for kind, _ in key) and not after.intersection(key):
        raise refuse("match_not_in_data", f"a new profile must bring what matching {mode} searches", "/match/mode")


def _demand_free(
    find: Find, gained: Iterable[Identity], conflict: Mapping[str, str], profile: Profile | None
) -> None:
    """Refuses an identity that another profile has, where the update's `conflict` says so for its kind."""
    own = profile.id if profile else None
    contested = [identity for identity in sorted(gained) if identity[0].partition("/")[0] in conflict]
    taken = [kind for kind, value in contested if any(other.id != own for other in find([(kind, value)]))]
    if taken:
        detail = "the value belongs to another profile"
        raise Refusal([Fault("identifier_taken", detail, pointer_to("profile", *kind.split("/", 1))) for kind in taken])


def _edited(
    profile: Profile | None, document: Document, gained: frozenset[Identity], lost: frozenset[Identity], new_id: str, now: int
) -> Edited:
    patch = tuple(difference(profile.document, document)) if profile else ({"op": "add", "path": "", "value": document},)
    if not patch:
        return Edited(profile)
    if profile is None:
        after = Profile(new_id, document, 1, now, now)
    else:
        after = replace(profile, document=document, version=profile.version + 1, updated=now)
    return Edited(after, (Write(profile, after, gained, lost, patch),))


