"""Edits: the pure functions that a store runs inside its atomic step, made from checked updates.

Each finds its profile by the key, decides, and says what to write; it may be run again on other findings.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.apply import apply_update, difference, fill_from, remove_empty_namespaces, restore_value
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.matching import ID, identities, identity_changes
from gateway.core.model import Created, Document, Edit, EditResult, Find, Identity, Profile, Update, Write
from gateway.core.pointer import join_pointer
from gateway.core.profile_tables import ProfileTables


class EditContext(Struct, frozen=True):
    """What an edit goes by besides its update: the database's form and the outer world's facts, passed in.

    `tables` are those of the database; `check` gives the faults of a document about to be
    stored in the place of another ({} where there is none); `patched` applies a JSON Patch to a document as the dialect
    shows it; `now` is in milliseconds.
    """

    tables: ProfileTables
    validate: Callable[[Document, Document], list[Fault]]
    apply_patch: Callable[[Document, Sequence[Any]], Document]
    new_id: str
    now: int


def update_edit(
    update: Update, key: tuple[Identity, ...], context: EditContext, released: tuple[Identity, ...] = ()
) -> Edit:
    """The edit of one update. Whom `released` names besides its profile gives up what the update says.

    Its refusals: profile_not_found, ambiguous_match, match_not_in_data, identifier_taken, invalid_patch, and what the
    functions and the check find.
    """

    def edit(find: Find) -> EditResult:
        found = find(key) if key else []
        profile = _chosen(found, find, key, update["match"].get("on_multiple"))
        if profile is None and update.get("if_absent") != "create":
            raise not_found(key)
        before = profile.document if profile else {}
        document = _written(profile, update, context)
        gained, lost = identity_changes(before, document, context.tables)
        if profile is None:
            _demand_findable(key, gained, update["match"]["mode"], context.tables.unique)
        if gained and (
            left := _left_alone(find, gained, update.get("on_conflict", {}), profile, context.tables.places)
        ):
            for place in left:
                document = restore_value(document, before, place)
            gained, lost = identity_changes(before, document, context.tables)
        edited = _edited(profile, document, gained, lost, context)
        if released:
            losses = [
                write
                for each in find(released)
                for write in _released(each, profile, update["detach_from_others"], context)
            ]
            edited = replace(edited, writes=(*losses, *edited.writes))
        return edited if len(found) < 2 else replace(edited, others=_others(found, profile))

    return edit


def _released(other: Profile, profile: Profile | None, release: Update, context: EditContext) -> tuple[Write, ...]:
    """What another profile gives up, of which nothing can be wrong: it only loses."""
    if profile and other.id == profile.id:
        return ()
    document, _ = apply_update(other.document, release)
    gained, lost = identity_changes(other.document, document, context.tables)
    return _edited(other, document, gained, lost, context).writes


def removal_edit(key: tuple[Identity, ...], tables: ProfileTables, on_multiple: str | None = None) -> Edit:
    """The edit that removes the one profile of a key. Its refusals: profile_not_found, ambiguous_match.

    Where `on_multiple` is `all`, every profile of the key goes, and none is no refusal.
    """

    def edit(find: Find) -> EditResult:
        profiles = find(key)
        if on_multiple != "all":
            require_single(profiles, key)
        return EditResult(next(iter(profiles), None), tuple(_removal(profile, tables) for profile in profiles))

    return edit


def merge_edit(destination: Identity, sources: Sequence[Identity], context: EditContext) -> Edit:
    """The edit that lays profiles into one, which takes what it lacks, and removes them.

    Its refusals: profile_not_found, and what the check finds in the outcome.
    """

    def edit(find: Find) -> EditResult:
        profile = require_single(find([destination]), [destination])
        others = [_source(find, identity) for identity in sources]
        document = profile.document
        for other in others:
            document = fill_from(document, other.document)
        if faults := context.validate(document, profile.document):
            raise Refusal(faults)
        gained, _ = identity_changes(profile.document, document, context.tables)
        edited = _edited(profile, document, gained, frozenset(), context)
        return replace(edited, writes=(*(_removal(other, context.tables) for other in others), *edited.writes))

    return edit


def id_edit(id: str, now: int) -> Edit:
    """The edit that writes nothing and answers with an id: under an Idempotency-Key, with the first one's."""
    return lambda _find: EditResult(Profile(id, {}, 1, now, now))


def _source(find: Find, identity: Identity) -> Profile:
    profiles = find([identity])
    if not profiles:
        raise not_found([identity], "/sources")
    return profiles[0]


def _removal(profile: Profile, tables: ProfileTables) -> Write:
    return Write(profile, None, lost=identities(profile.document, tables), patch=({"op": "remove", "path": ""},))


def require_single(profiles: list[Profile], key: Sequence[Identity]) -> Profile:
    """The single profile of a search. Raises `Refusal`: profile_not_found, ambiguous_match."""
    if len(profiles) > 1:
        raise Refusal([Fault("ambiguous_match", f"{len(profiles)} profiles match", profile=profiles[1].id)])
    if not profiles:
        raise not_found(key)
    return profiles[0]


def not_found(key: Sequence[Identity], pointer: str = "") -> Refusal:
    """The refusal of a search that finds no profile, to be raised; it tells the id where one was searched."""
    id = next((value for kind, value in key if kind == ID), "")
    return Refusal([Fault("profile_not_found", pointer=pointer, profile=id)])


def _chosen(found: list[Profile], find: Find, key: tuple[Identity, ...], on_multiple: str | None) -> Profile | None:
    """The profile that a key has found, if any; of several, the first identity's where that is asked for."""
    if on_multiple == "first" and len(found) > 1:
        return next(named for named in map(find, ([identity] for identity in key)) if named)[0]
    return require_single(found, key) if found else None


def _others(found: Sequence[Profile], chosen: Profile | None) -> tuple[str, ...]:
    return tuple(each.id for each in found if chosen is None or each.id != chosen.id)


def _written(profile: Profile | None, update: Update, context: EditContext) -> Document:
    """The document that the update makes of a profile's. Raises `Refusal` with everything that is wrong with it."""
    before = profile.document if profile else {}
    document, faults = apply_update(before, _dated(update, context.now))
    if "patch" in update:
        document = context.apply_patch(document, update["patch"])
    if profile is None:
        document = _taking_the_match(document, update["match"])
    faults += context.validate(document, before)
    if faults:
        raise Refusal(faults)
    return document


def _dated(update: Update, now: int) -> Update:
    """The update with the time of the change in the places that take it: no clock is part of what was asked."""
    dates = [{"function": "set", "pointer": place, "value": now} for place in update.get("timestamps", ())]
    return {**update, "operations": [*update.get("operations", ()), *dates]} if dates else update


def _taking_the_match(document: Document, match: Mapping[str, Any]) -> Document:
    """A new profile takes the match value where its data lacks it; a subscription it must bring itself."""
    mode, values = match["mode"], match["values"]
    if mode in ("email", "email_profile", "email_phone") and "email" in values:
        document = {"email": values["email"], **document}
    if mode in ("phone", "email_phone") and "phone" in values:
        document = {"phone_numbers": [values["phone"]], **document}
    if mode in ("external_id", "identifiers") and "external_id" in values:
        document = {"external_id": values["external_id"], **document}
    if mode == "custom":
        own = {values["field_name"]: values["field_value"], **document.get("custom", {})}
        document = {**document, "custom": own}
    return document


def _demand_findable(key: tuple[Identity, ...], after: frozenset[Identity], mode: str, unique: frozenset[str]) -> None:
    """Refuses a new profile that its own call would not find again, and so would make anew each time.

    An identity that no two profiles may share needs no such guard: the second call meets it as taken.
    """
    if key and not any(_family(kind) in unique for kind, _ in key) and not after.intersection(key):
        raise refuse("match_not_in_data", f"a new profile must bring what matching {mode} searches", "/profile")


def _left_alone(
    find: Find,
    gained: Iterable[Identity],
    conflict: Mapping[str, str],
    profile: Profile | None,
    places: Mapping[str, tuple[str, ...]],
) -> list[tuple[str, ...]]:
    """The places that stay as they were, because another profile has their identity and the update's rule is `keep`.

    Raises `Refusal` (identifier_taken) where its rule for one is to refuse.
    """
    left, faults = [], []
    for kind, value in sorted(gained):
        rule = conflict.get(_family(kind))
        other = rule and next(
            (each for each in find([(kind, value)]) if profile is None or each.id != profile.id), None
        )
        if not other:
            continue
        if rule == "keep":
            left.append(places[kind])
        else:
            pointer = join_pointer("profile", *kind.split("/", 1))
            faults.append(Fault("identifier_taken", "the value belongs to another profile", pointer, other.id))
    if faults:
        raise Refusal(faults)
    return left


def _family(kind: str) -> str:
    return kind.partition("/")[0]


def _edited(
    profile: Profile | None,
    document: Document,
    gained: frozenset[Identity],
    lost: frozenset[Identity],
    context: EditContext,
) -> EditResult:
    document = remove_empty_namespaces(document, context.tables)
    patch = (
        tuple(difference(profile.document, document)) if profile else ({"op": "add", "path": "", "value": document},)
    )
    if not patch:
        return EditResult(profile)
    after: Profile
    if profile is None:
        after = Created(context.new_id, document, 1, context.now, context.now)
    else:
        after = Profile(profile.id, document, profile.version + 1, profile.created, context.now)
    return EditResult(after, (Write(profile, after, gained, lost, patch),))
