"""Edits: the pure functions that a store runs inside its atomic step, one for each command.

An edit searches its profile by a key (the identities of a match) and returns the writes. A store may run it again on
other profiles.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.apply import (
    append_at,
    apply_update,
    remove_empty_namespaces,
    restore_value,
    touched_members,
)
from gateway.core.conflicts import former_values, kept_places, other_owners, require_findable
from gateway.core.consent import (
    AS_OF,
    ReadLedgers,
    apply_consent,
    changes_facts,
    may_change_consent,
    opt_outs_of_global_status,
)
from gateway.core.consent_changes import with_consent_changes
from gateway.core.difference import Touched, member_changes
from gateway.core.faults import Fault, Refusal
from gateway.core.journal import LAST_STARTS, creation, removal
from gateway.core.matching import SUBSCRIPTIONS, identity_changes, split_tags
from gateway.core.model import (
    Address,
    Command,
    Created,
    Document,
    Edit,
    EditResult,
    Find,
    Identity,
    JournalKind,
    Ledger,
    Profile,
    Update,
    Write,
)
from gateway.core.pointer import split_pointer
from gateway.core.profile_tables import ProfileTables
from gateway.core.selection import not_found, require_profile, select_first, select_profile
from gateway.core.strictness import with_lasting_status, with_strictest
from gateway.core.subscription_rules import EACH, IN_SUBSCRIPTIONS, KEEP_OPT_OUTS, MOVE, with_edits
from gateway.core.tombstones import TombstoneCheck


class EditContext(Struct, frozen=True):
    """What an edit needs besides its command.

    `validate` returns the faults of a document that replaces another one, {} for a new profile. `resolve_patch` returns
    what the JSON Patch of an update writes, for the dialect's view of a document. `now` is in milliseconds since 1970.
    `read_ledgers` returns the reader of ledgers in a step. `erased` compares the request with
    tombstones.
    """

    tables: ProfileTables
    validate: Callable[[Document, Document], list[Fault]]
    resolve_patch: Callable[[Document, Update], Update]
    new_id: str
    now: int
    read_ledgers: Callable[[Find], ReadLedgers] = attrgetter("ledgers")
    erased: TombstoneCheck | None = None


_DEPENDENT = frozenset({"patch", AS_OF, EACH, MOVE, KEEP_OPT_OUTS})
"""The members of an update whose effect depends on what is stored."""


class UpdateEdit(Struct, frozen=True):
    """The edit of one update. `detach_key` finds the profiles of `detach_from_others`.

    It raises `Refusal`: profile_not_found, ambiguous_match, match_not_in_data, identifier_taken, invalid_patch, and the
    faults of functions and of validation.
    """

    update: Update
    key: tuple[Identity, ...]
    context: EditContext
    detach_key: tuple[Identity, ...] = ()

    def __call__(self, find: Find) -> EditResult:
        update, context = self.update, self.context
        found = find.profiles(self.key) if self.key else []
        if len(found) == 1 and not context.tables.tag_fields:
            profile: Profile | None = found[0]
        elif len(found) > 1 and update["match"].get("on_multiple") == "addresses":
            return _address_result(update, found, find, context)
        else:
            profile = self._select(found)
        if find.has_tombstones and context.erased:
            context.erased.require_new(find, self.key, update, profile.created if profile else None)
        before = profile.document if profile else {}
        if not _DEPENDENT.isdisjoint(update):
            update = self._resolved(profile, before)
        is_dated = "timestamps" in update or "starts" in update
        dated = _with_timestamps(update, context.now) if is_dated else update
        document = self._updated_document(profile, before, dated)
        ledgers: Mapping[Address, Ledger] = {}
        if may_change_consent(update, find):
            document, ledgers = apply_consent(document, update, context.read_ledgers(find), context.now)
        gained, lost = identity_changes(before, document, context.tables)
        touched, wanted = touched_members(dated), gained
        if gained or lost or profile is None:
            resolved = self._without_conflicts(find, profile, document, gained, lost)
            if resolved is not document:
                document, touched = resolved, None
                gained, lost = identity_changes(before, document, context.tables)
        if gained and find.has_tombstones and context.erased:
            context.erased.require_new(find, tuple(gained), update)
        replay = None
        if profile and "merged" in before:
            owners = other_owners(find, profile.id, wanted, update, context.tables)
            replay = {"update": self.update, "owners": owners}
        result = document_result(profile, document, gained, lost, context, touched=touched, replay=replay)
        if ledgers or self.detach_key or len(found) > 1:
            return self._with_others(find, found, profile, result, ledgers)
        return result

    def _select(self, found: list[Profile]) -> Profile | None:
        """Return the profile that the key means among those that it finds; None for a new one."""
        if found and self.update["match"].get("on_multiple") == "first":
            return select_first(found, self.key, self.context.tables)
        profile = select_profile(found, self.key, self.context.tables)
        if profile is None and self.update.get("if_absent") != "create":
            raise not_found(self.key)
        return profile

    def _resolved(self, profile: Profile | None, before: Document) -> Update:
        """Return the update with what its patch and its rules come to for a document."""
        update = self.update
        if "patch" in update:
            update = {**update, **self.context.resolve_patch(before, update)}
        if AS_OF in update and profile and profile.updated >= update[AS_OF]:
            update = {**update, KEEP_OPT_OUTS: True}  # what was changed since may be an opt-out
        return with_edits(before, update)

    def _updated_document(self, profile: Profile | None, before: Document, dated: Update) -> Document:
        """Return the document after the update with its timestamps, and with the statuses that outlast the update.

        Raises `Refusal` with all of its faults.
        """
        tables = self.context.tables
        document, faults = apply_update(before, dated)
        if profile is None:
            document = with_match_values(document, dated["match"], tables)
        faults += self.context.validate(document, before)
        if faults:
            raise Refusal(faults)
        space = tables.global_status[0]
        if space in before and (space not in document or document[space] is not before[space]):  # costs no call
            document = with_lasting_status(document, before, tables)
        if KEEP_OPT_OUTS in dated and dated[KEEP_OPT_OUTS] != IN_SUBSCRIPTIONS:
            document = with_strictest(document, before, tables)
        return document

    def _without_conflicts(
        self,
        find: Find,
        profile: Profile | None,
        document: Document,
        gained: frozenset[Identity],
        lost: frozenset[Identity],
    ) -> Document:
        """Return the document with the identities that stay although the update replaces them. Raises `Refusal`."""
        tables, before = self.context.tables, profile.document if profile else {}
        if lost and (former := former_values(before, document, lost, tables)):
            for place, value in former:
                document = append_at(document, place, value)
            gained, lost = identity_changes(before, document, tables)
        if profile is None:
            require_findable(self.key, gained, self.update["match"]["mode"], tables.unique)
        if gained and "on_conflict" in self.update:
            for place in kept_places(find, gained, self.update, profile, tables):
                document = restore_value(document, before, place)
        return document

    def _with_others(
        self,
        find: Find,
        found: Sequence[Profile],
        profile: Profile | None,
        result: EditResult,
        ledgers: Mapping[Address, Ledger],
    ) -> EditResult:
        """Return the result with the writes to further profiles, and the ids of those that match and stay."""
        own = profile.id if profile else None
        if self.detach_key:
            others = (each for each in find.profiles(self.detach_key) if each.id != own)
            detached = [apply_part(each, self.update["detach_from_others"], self.context, own) for each in others]
            result = replace(result, writes=(*chain.from_iterable(detached), *result.writes))
        if self.update["match"].get("on_multiple"):
            result = replace(result, others=tuple(each.id for each in found if each.id != own))
        return with_ledgers(result, ledgers, self.update, find, self.context)


def _address_result(update: Update, found: Sequence[Profile], find: Find, context: EditContext) -> EditResult:
    """Return the result of an update of several profiles that have one address: its ledger, and `every_owner`."""
    _, ledgers = apply_consent({}, update, context.read_ledgers(find), context.now)
    shared = _with_timestamps(update.get("every_owner", {}), context.now)
    if shared:
        shared = {**shared, "match": update["match"]}
    writes = chain.from_iterable(apply_part(each, shared, context) for each in found) if shared else ()
    result = EditResult(None, tuple(writes), others=tuple(profile.id for profile in found))
    return with_ledgers(result, ledgers, update, find, context)


def apply_part(other: Profile, part: Update, context: EditContext, main: str | None = None) -> tuple[Write, ...]:
    """Return the write of a part of an update to one of the profiles that the part's match names.

    A part has nothing to validate. `main` is the id of the profile that the rest of the update is written to.
    """
    document, _ = apply_update(other.document, part)
    gained, lost = identity_changes(other.document, document, context.tables)
    replay = {"part": part, "main": main} if "merged" in other.document else None
    return document_result(other, document, gained, lost, context, touched=touched_members(part), replay=replay).writes


def with_ledgers(
    result: EditResult, ledgers: Mapping[Address, Ledger], command: Command, find: Find, context: EditContext
) -> EditResult:
    """Return the result with the ledgers that a command changes, and the entries of the profiles that these concern."""
    if not ledgers:
        return result
    result = replace(result, ledgers=ledgers)
    if not changes_facts(command):
        return result
    return with_consent_changes(result, ledgers, command, find, context.read_ledgers(find), context.tables)


def removal_edit(key: tuple[Identity, ...], context: EditContext, on_multiple: str | None = None) -> Edit:
    """Return the edit that removes the one profile of a key. It raises `Refusal`: profile_not_found, ambiguous_match.

    With `on_multiple` = `all`, it removes every profile of the key, which may be none. What a global status forbade is
    a fact about the addresses afterwards.
    """
    tables = context.tables

    def edit(find: Find) -> EditResult:
        profiles = find(key)
        if on_multiple != "all":
            profiles = [require_profile(profiles, key, tables)]
        writes = tuple(removal_write(profile, tables) for profile in profiles)
        opt_outs = [each for profile in profiles for each in opt_outs_of_global_status(profile.document, tables)]
        command = {SUBSCRIPTIONS: opt_outs}
        _, ledgers = apply_consent({}, command, context.read_ledgers(find), context.now)
        return with_ledgers(EditResult(next(iter(profiles), None), writes), ledgers, command, find, context)

    return edit


def id_edit(id: str, now: int) -> Edit:
    """Return the edit that writes nothing and returns an id. Under an Idempotency-Key, a retry returns the first id."""
    return lambda _find: EditResult(Profile(id, {}, 1, now, now))


def removal_write(profile: Profile, tables: ProfileTables, kind: JournalKind = "remove") -> Write:
    """Return the write that removes a profile with its identities."""
    _, lost = identity_changes(profile.document, {}, tables)
    return Write(profile, None, lost=lost, members=removal(profile.document), kind=kind)


def _with_timestamps(update: Update, now: int) -> Update:
    """Return the update with the time of the change at its `timestamps`, and in what it starts.

    The command has no time: a retry is equal.
    """
    operations, edits = list(update.get("operations", ())), list(update.get("subscriptions", ()))
    if "starts" in update:
        starts = [{**each, "time": now} for each in update["starts"]]
        operations.append({"function": "set", "pointer": f"/{LAST_STARTS}", "value": starts})
    for place in update.get("timestamps", ()):
        match split_pointer(place):
            case ["subscriptions", index, name]:
                edits[int(index)] = {**edits[int(index)], name: now}
            case _:
                operations.append({"function": "set", "pointer": place, "value": now})
    dated = {"operations": operations, "subscriptions": edits}
    return {**update, **{name: value for name, value in dated.items() if value}}


def with_match_values(document: Document, match: Mapping[str, Any], tables: ProfileTables) -> Document:
    """Return the document of a new profile, with the match values that it lacks. Subscriptions are not added."""
    mode, values = match["mode"], match["values"]
    if mode in ("email", "email_profile", "email_phone") and "email" in values:
        document = {"email": values["email"], **document}
    if mode in ("phone", "email_phone") and "phone" in values:
        document = {"phone_numbers": [values["phone"]], **document}
    if mode in ("external_id", "identifiers") and "external_id" in values:
        document = {"external_id": values["external_id"], **document}
    if mode == "custom":
        name, value = values["field_name"], values["field_value"]
        own = {name: split_tags(value) if name in tables.tag_fields else value, **document.get("custom", {})}
        document = {**document, "custom": own}
    return document


def document_result(
    profile: Profile | None,
    document: Document,
    gained: frozenset[Identity],
    lost: frozenset[Identity],
    context: EditContext,
    kind: JournalKind = "update",
    touched: Touched | None = None,
    replay: Mapping[str, Any] | None = None,
) -> EditResult:
    """Return the result that stores a document, as a new profile if there is none. An equal one is not stored.

    Only `touched` members may differ from the profile's; without them, any may. With a `replay`, which is for the
    journal, an equal document has an entry too: without the merge of its profile it might not be equal.
    """
    if profile is None or touched is None or not context.tables.namespaces.isdisjoint(touched):
        document = remove_empty_namespaces(document, context.tables)
    if profile is None:
        created = Created(context.new_id, document, 1, context.now, context.now)
        return EditResult(created, (Write(None, created, gained, lost, creation(document), "create"),))
    members = tuple(member_changes(profile.document, document, touched))
    if not members and replay is None:
        return EditResult(profile)
    updated = context.now if members else profile.updated
    after = Profile(profile.id, document, profile.version + 1, profile.created, updated)
    return EditResult(after, (Write(profile, after, gained, lost, members, kind, None, replay),))
