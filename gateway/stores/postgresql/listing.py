"""Pages of profiles and of jobs: a query as SQL. Only that lives here; no connection is made and nothing is written.

There is no index on a profile's times or members, which each change would have to keep: a page by one of them reads the
database's profiles through.
"""

from typing import Any

from gateway.core.listing import LAST
from gateway.core.model import Query

ADD_JOB = "INSERT INTO jobs VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
JOB = "SELECT id, created, total, failed, outcome, kind FROM jobs WHERE database = %s AND id = %s"

_PROFILES = "SELECT id, document, version, created, updated FROM profiles"
_JOBS = "SELECT id, created, total, failed FROM jobs"

# PostgreSQL reads no member of a document that has a NUL anywhere: for the sort, the next character takes its place.
_MEMBER = r"""COALESCE(replace(document, '\u0000', '\u0001')::json ->> %(member)s, %(last)s) COLLATE "C" """


def profiles_of(database: int, query: Query) -> tuple[str, dict[str, Any]]:
    """The statement of a page of profiles, and its values."""
    return _statement(_PROFILES, database, query, ("created", "updated"))


def jobs_of(database: int, kind: str, query: Query) -> tuple[str, dict[str, Any]]:
    """The same of a page of jobs of a kind."""
    return _statement(_JOBS, database, query, ("created",), kind=kind)


def _statement(
    select: str, database: int, query: Query, times: tuple[str, ...], **equal: str
) -> tuple[str, dict[str, Any]]:
    place = query.sort if query.sort in ("id", *times) else _MEMBER
    conditions = ["database = %(database)s", *(f"{name} = %({name})s" for name in equal)]
    values: dict[str, Any] = {"database": database, "limit": query.limit, **equal}
    values |= {"member": query.sort, "last": LAST} if place is _MEMBER else {}
    for time in times:
        for bound, sign, limit in zip(("from", "to"), "><", getattr(query, time), strict=True):
            if limit is not None:
                conditions.append(f"{time} {sign} %({time}_{bound})s")
                values[f"{time}_{bound}"] = limit
    if query.after:
        conditions.append(f"({place}, id) {'<' if query.descending else '>'} (%(value)s, %(id)s)")
        value = query.after[0]
        values |= {"value": value.replace("\x00", "\x01") if place is _MEMBER else value, "id": query.after[1]}
    order = " DESC" if query.descending else ""
    return f"{select} WHERE {' AND '.join(conditions)} ORDER BY {place}{order}, id{order} LIMIT %(limit)s", values
