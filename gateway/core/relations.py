"""Relations: each leads from one profile to another, has a number, and named properties.

The profile that a relation leads to keeps it, in `relations`: by the id of the other profile, and by the number.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.apply import merge_patch
from gateway.core.edit import EditContext, UpdateEdit
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.matching import RELATED, identity_changes
from gateway.core.model import Command, EditResult, Find, Identity, MemberChange, Profile, Write
from gateway.core.moves import find_at
from gateway.core.pointer import join_pointer
from gateway.core.profile_tables import ProfileTables
from gateway.core.selection import not_found, require_profile
from gateway.core.update_functions import incr

RELATIONS = "relations"
"""The member of a document that has its relations."""

SUBJECT = "subject"

Properties = Mapping[str, Any]


class RelationEdit(Struct, frozen=True):
    """The edit of one relation. `key` finds the profile that has it, `subject_key` the one that it leads from.

    The profile of the result is the one that has it; its document has the id of the `subject`, for a repeated request.
    The edit raises `Refusal`: profile_not_found, ambiguous_match, unknown_relation, invalid_parameter, and the faults
    of validation.
    """

    relation: Command
    key: tuple[Identity, ...]
    subject_key: tuple[Identity, ...]
    context: EditContext

    def __call__(self, find: Find) -> EditResult:
        tables = self.context.tables
        profile = require_profile(find(self.key), self.key, tables)
        at = join_pointer("subjects", 0)
        subject = find_at(find, self.subject_key, at, tables)
        if subject is None:
            raise not_found(self.subject_key, at)
        if subject.id == profile.id:
            raise refuse("invalid_parameter", "a profile has no relation to itself", at)
        operation = self._operation(profile.document.get(RELATIONS, {}), subject.id)
        match = {"mode": "profile_id", "values": {"profile_id": profile.id}}
        result = UpdateEdit({"match": match, "operations": [operation]}, self.key, self.context)(find)
        assert result.profile is not None
        return replace(result, profile=replace(result.profile, document={SUBJECT: subject.id}))

    def _operation(self, relations: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
        """Return the operation on the document of the profile. Without relations it has no member for them."""
        number, current = str(self.relation["relation"]), relations.get(subject, {})
        value = {**current, number: self._properties(current.get(number, {}))}
        if self.relation["action"] == "detach":
            if number not in current:
                raise refuse("unknown_relation", pointer="/relation")
            del value[number]
        is_last = not value and len(relations) == 1
        pointer = join_pointer(RELATIONS) if is_last else join_pointer(RELATIONS, subject)
        return {"function": "set", "pointer": pointer, "value": value or None}

    def _properties(self, current: Properties) -> Properties:
        """Return the properties after the command. Raises `Refusal`: invalid_parameter."""
        named, faults = self.relation.get("properties", {}), list[Fault]()
        if self.relation["action"] != "add":
            return {**current, **named}
        after = dict(current)
        for name, value in named.items():
            try:
                after[name] = incr(current.get(name), _number(value))
            except ValueError as reason:
                faults.append(Fault("invalid_parameter", str(reason), join_pointer("properties", name)))
        if faults:
            raise Refusal(faults)
        return after


def related_ids(profile: Profile) -> list[str]:
    """Return the ids of the profiles that relations lead from, in the order of relations."""
    return [*profile.document.get(RELATIONS, {})]


def without_relations(
    find: Find, ids: Iterable[str], tables: ProfileTables, time: int, leaving: Iterable[Profile]
) -> tuple[Write, ...]:
    """Return the writes that remove the relations of erased profiles from others; `leaving` are erased themselves.

    `time` is that of the erasure, in milliseconds since 1970.
    """
    removed, gone = dict.fromkeys(ids), {each.id for each in leaving}
    found = find([(RELATED, id) for id in removed]) if removed else []
    return tuple(_without(each, removed, tables, time) for each in found if each.id not in gone)


def _without(profile: Profile, removed: Mapping[str, None], tables: ProfileTables, time: int) -> Write:
    """Return the write of a profile without its relations to others. Its entry does not say what they were."""
    before = profile.document
    own = {id: each for id, each in before[RELATIONS].items() if id not in removed}
    document = merge_patch(before, {RELATIONS: None}) if not own else {**before, RELATIONS: own}
    gained, lost = identity_changes(before, document, tables)
    after = Profile(profile.id, document, profile.version + 1, profile.created, time)
    change = MemberChange(f"/{RELATIONS}", is_before_known=False)
    return Write(profile, after, gained, lost, (replace(change, after=own) if own else change,))


def _number(value: Any) -> int | float:
    if isinstance(value, bool | str):
        raise ValueError("it must be a number, to be added")
    number: int | float = value
    return number
