"""Pages of profiles and of jobs: a query as SQL. Only that lives here; no connection is made and nothing is written.

There is no index on a profile's times or members, which each change would have to keep: a page by one of them reads the
database's profiles through, on a connection and a thread of its own, where it holds up no change and no other read.
"""

from typing import Any

from gateway.core.listing import LAST
from gateway.core.model import Query

ADD_JOB = "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
JOB = "SELECT id, created, total, failed, outcome, kind FROM jobs WHERE database = ? AND id = ?"
PRUNE_JOBS = "DELETE FROM jobs WHERE rowid IN (SELECT rowid FROM jobs WHERE created < ? LIMIT ?)"

_PROFILES = "SELECT id, document, version, created, updated FROM profiles"
_JOBS = "SELECT id, created, total, failed FROM jobs"


def profiles_of(database: int, query: Query) -> tuple[str, dict[str, Any]]:
    """The statement of a page of profiles, and its values."""
    return _statement(_PROFILES, database, query, ("created", "updated"))


def jobs_of(database: int, kind: str, query: Query) -> tuple[str, dict[str, Any]]:
    """The same of a page of jobs of a kind."""
    return _statement(_JOBS, database, query, ("created",), kind=kind)


def _statement(
    select: str, database: int, query: Query, times: tuple[str, ...], **equal: str
) -> tuple[str, dict[str, Any]]:
    place = query.sort if query.sort in ("id", *times) else "COALESCE(json_extract(document, :member), :last)"
    conditions = ["database = :database", *(f"{name} = :{name}" for name in equal)]
    values: dict[str, Any] = {"database": database, "limit": query.limit, **equal}
    values |= {"member": f'$."{query.sort}"', "last": LAST} if ":member" in place else {}
    for time in times:
        for bound, sign, limit in zip(("from", "to"), "><", getattr(query, time), strict=True):
            if limit is not None:
                conditions.append(f"{time} {sign} :{time}_{bound}")
                values[f"{time}_{bound}"] = limit
    if query.after:
        conditions.append(f"({place}, id) {'<' if query.descending else '>'} (:value, :id)")
        values |= {"value": query.after[0], "id": query.after[1]}
    order = " DESC" if query.descending else ""
    return f"{select} WHERE {' AND '.join(conditions)} ORDER BY {place}{order}, id{order} LIMIT :limit", values
