"""From commands to changes. A change is one step of the store: the identities that it reads, and its edit."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

from msgspec.structs import replace

from gateway.core.edit import EditContext, UpdateEdit, id_edit, removal_edit
from gateway.core.edit_sequence import atomic_edit, collect_faults, observed_edit
from gateway.core.erasure import ErasureEdit, ledger_reader
from gateway.core.faults import Refusal
from gateway.core.matching import identities_by_id, match_identities
from gateway.core.merging import MergeEdit
from gateway.core.model import Change, Command, Edit, EditResult, Find, IdempotencyKey, Identity, Origin, Update
from gateway.core.relations import RelationEdit
from gateway.core.splitting import SplitEdit
from gateway.core.status_change import StatusEdit
from gateway.core.tombstones import Pseudonym, TombstoneCheck
from gateway.service.geolocation import Geolocator
from gateway.service.prepared_request import PreparedRequest

GROUP_SIZE = 256
"""Updates of a batch that are prepared in one turn of the event loop."""


class ChangeBuilder:
    """Builds changes. `now` returns milliseconds since 1970, `new_id` the id of a new profile.

    With `erases_removals`, every removal is an erasure.
    """

    def __init__(
        self,
        locator: Geolocator,
        now: Callable[[], int],
        new_id: Callable[[], str],
        pseudonym: Pseudonym | None = None,
        erases_removals: bool = False,
    ) -> None:
        self._locator = locator
        self._pseudonym = pseudonym
        self._read_ledgers = partial(ledger_reader, pseudonym)
        self._erases_removals = erases_removals
        self._now = now
        self._new_id = new_id

    def update(self, request: PreparedRequest) -> Change:
        """Return the change of the only update. Raises `Refusal`."""
        return self.change(request.commands[0], request, request.idempotency_key)

    def group(self, request: PreparedRequest, start: int) -> list[Change | Refusal]:
        """Return the changes of `GROUP_SIZE` updates from `start` on, each with a key of its own."""
        updates = enumerate(request.commands[start : start + GROUP_SIZE], start)
        return [self._change(update, request, _nth_key(request.idempotency_key, index)) for index, update in updates]

    def atomic(self, request: PreparedRequest) -> Change:
        """Return one change of all updates. Raises `Refusal` with every fault of any of them."""
        planned = [self._change(update, request, None) for update in request.commands]
        if faults := collect_faults(planned):
            raise Refusal(faults)
        changes = [each for each in planned if isinstance(each, Change)]
        identities = tuple(dict.fromkeys(identity for change in changes for identity in change.identities))
        edits = [observed_edit(change.edit, change.origin.observed) for change in changes]
        commands = [each for each in request.commands if isinstance(each, dict)]
        creating = {place for place, each in enumerate(commands) if each.get("if_absent") == "create"}
        origin = replace(changes[0].origin, observed=None)
        edit = atomic_edit(edits, creating)
        return Change(request.database.id, identities, edit, origin, request.idempotency_key)

    def removal(self, request: PreparedRequest) -> Change:
        """Return the change that removes the matched profile, or erases every one. Raises `Refusal`."""
        command, tables = request.command, request.schema.tables
        key, origin = key_of(command, request), self._origin(command, request)
        on_multiple = command["match"].get("on_multiple")
        if command.get("erase") or self._erases_removals:
            # The id of the request may be the client's, and the entry of an erasure has no personal data.
            origin = replace(origin, request="")
            edit: Edit = ErasureEdit(key, tables, self._pseudonym, origin.time, on_multiple)
        else:
            context = self._context(request, "", origin.time)
            edit = self._checked(removal_edit(key, context, on_multiple), key, request)
        return Change(request.database.id, key, edit, origin, request.idempotency_key)

    def status_change(self, request: PreparedRequest, id: str) -> Change:
        """Return the change of the subscriptions of one profile."""
        origin = self._origin(request.command, request)
        edit = StatusEdit(id, request.command["status_change"], self._context(request, "", origin.time))
        return Change(request.database.id, identities_by_id(id), edit, origin)

    def merge(self, request: PreparedRequest) -> Change:
        """Return one change of all merged profiles, so that no reader sees a part of it. Raises `Refusal`."""
        merge, tables = request.command, request.schema.tables
        key, origin = key_of(merge, request), self._origin(merge, request)
        sources = tuple(match_identities(each, tables) for each in merge["sources"])
        new_id = self._new_id() if merge.get("if_absent") == "create" else ""
        edit = MergeEdit(merge, key, sources, self._context(request, new_id, origin.time))
        checked = self._checked(edit, key, request)
        return Change(request.database.id, (*key, *chain(*sources)), checked, origin, request.idempotency_key)

    def split(self, request: PreparedRequest) -> Change:
        """Return one change of all profiles of a split. Raises `Refusal`."""
        split, tables = request.command, request.schema.tables
        key, origin = key_of(split, request), self._origin(split, request)
        destinations = tuple(match_identities(each, tables) for each in split["destinations"])
        new_ids = tuple(self._new_id() for _ in destinations)
        edit = SplitEdit(split, key, destinations, new_ids, self._context(request, "", origin.time))
        checked = self._checked(edit, key, request)
        return Change(request.database.id, (*key, *chain(*destinations)), checked, origin, request.idempotency_key)

    def relation(self, request: PreparedRequest) -> Change:
        """Return the change of a relation of two profiles. Raises `Refusal`."""
        relation, tables = request.command, request.schema.tables
        key, origin = key_of(relation, request), self._origin(relation, request)
        subject = match_identities(relation["subjects"][0], tables)
        edit = RelationEdit(relation, key, subject, self._context(request, "", origin.time))
        checked = self._checked(edit, (*key, *subject), request)
        return Change(request.database.id, (*key, *subject), checked, origin, request.idempotency_key)

    def new_name(self, request: PreparedRequest, key: IdempotencyKey, name: str = "") -> Change:
        """Return a change that keeps a name, by default a new id: repeated requests under the key get the first one."""
        origin = self._origin({}, request)
        return Change(request.database.id, (), id_edit(name or self._new_id(), origin.time), origin, key)

    def _change(
        self, update: Update | Refusal, request: PreparedRequest, key: IdempotencyKey | None
    ) -> Change | Refusal:
        try:
            return self.change(update, request, key)
        except Refusal as refusal:
            return refusal.copy()

    def change(self, update: Update | Refusal, request: PreparedRequest, key: IdempotencyKey | None) -> Change:
        """Return the change of one update. Raises `Refusal`, also where it is one."""
        if isinstance(update, Refusal):
            raise update.copy()
        schema, dialect, triggers = request.schema, request.dialect, True
        now = self._now() if request.received is None else request.received
        if "options" in update:
            triggers = not update["options"].get("skip_triggers", False)
            if update["options"].get("detect_geo"):
                update = self._locator.locate(update, dialect.located_fields)
        new_id = self._new_id() if update.get("if_absent") == "create" else ""
        identities = match_identities(update["match"], schema.tables)
        detached: tuple[Identity, ...] = ()
        if "detach_from_others" in update:
            detached = match_identities(update["detach_from_others"]["match"], schema.tables)
        erased, once = None, key or request.idempotency_key
        if self._pseudonym:
            erased = TombstoneCheck(self._pseudonym, once.key if once else None, request.request_id, request.is_bulk)
        context = EditContext(
            schema.tables, schema.validate_profile, dialect.resolve_patch, new_id, now, self._read_ledgers, erased
        )
        origin = Origin(request.token.id, dialect.name, now, triggers, request.request_id, update.get("observed"))
        edit = UpdateEdit(update, identities, context, detached)
        found = (*identities, *detached)
        return Change(request.database.id, found, edit, origin, key, request.registry, request.shows_profile)

    def _context(self, request: PreparedRequest, new_id: str, now: int) -> EditContext:
        schema, dialect = request.schema, request.dialect
        return EditContext(
            schema.tables, schema.validate_profile, dialect.resolve_patch, new_id, now, self._read_ledgers
        )

    def _checked(self, edit: Edit, key: Sequence[Identity], request: PreparedRequest) -> Edit:
        """Return an edit that is rejected if the request is older than an erasure of what it matches."""
        if self._pseudonym is None:
            return edit
        once = request.idempotency_key
        check = TombstoneCheck(self._pseudonym, once.key if once else None, request.request_id, request.is_bulk)

        def checked_edit(find: Find) -> EditResult:
            if find.has_tombstones:
                check.require_new(find, key, request.command)
            return edit(find)

        return checked_edit

    def _origin(self, command: Command, request: PreparedRequest) -> Origin:
        triggers = not command.get("options", {}).get("skip_triggers", False)
        return Origin(request.token.id, request.dialect.name, self._now(), triggers, request.request_id)


def key_of(command: Command, request: PreparedRequest) -> tuple[Identity, ...]:
    """Return the identities that a command matches by. Raises `Refusal`."""
    return match_identities(command["match"], request.schema.tables)


def _nth_key(key: IdempotencyKey | None, index: int) -> IdempotencyKey | None:
    """Return the key of one update of a batch. No client can send such a key."""
    return key and replace(key, key=f"{index}/{key.key}")
