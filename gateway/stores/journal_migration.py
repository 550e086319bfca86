"""The journal of stores that had a record of changes instead: what its rows have, without the values before."""

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.core.journal import changes_of_patch
from gateway.core.model import JournalEntry, JournalKind, MemberChange, Origin
from gateway.stores.rows import Row, entry_row


def row_of_record(record: Sequence[Any]) -> Row:
    """Return the row of a record: database, time, profile, version, token, dialect, triggers, JSON Patch as JSON."""
    database, time, profile, version, token, dialect, triggers, patch = record
    origin = Origin(token, dialect, time, bool(triggers))
    return entry_row(entry_of_patch(database, profile, version, origin, orjson.loads(patch)))


def entry_of_patch(
    database: int, profile: str, version: int, origin: Origin, patch: Sequence[dict[str, Any]]
) -> JournalEntry:
    """Return the journal entry of a record of changes."""
    members = changes_of_patch(patch)
    return JournalEntry(0, database, profile, version, _kind_of(members), origin, members)


def _kind_of(members: Sequence[MemberChange]) -> JournalKind:
    """Return the kind of a change: only a creation and a removal change the document itself."""
    if not members or members[0].pointer:
        return "update"
    return "create" if members[0].is_before_known else "remove"
