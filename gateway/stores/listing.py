"""Pages of profiles, jobs and the journal in SQL: the part that all SQL engines share.

There is no index on a profile's times or members, which each change would have to keep. A page by one of them reads all
profiles of the database.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.listing import SORTED_LAST
from gateway.core.model import Job, Profile, Query
from gateway.stores.rows import Row, job_of

PROFILES = "SELECT id, document, version, created, updated FROM profiles"
NAMED = "(SELECT database, profile AS id FROM identities WHERE database = {} AND kind = {} AND value = {}) AS named"
"""The ids of the profiles with a key, in their order."""

JOBS = "SELECT id, created, total, failed FROM jobs"
JOB = "SELECT id, created, total, failed, outcome, kind FROM jobs WHERE database = ? AND id = ?"
ADD_JOB = "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class PageSyntax:
    """What differs between the engines in the statement of a page."""

    parameter: str
    """A named parameter: `{}` is its name."""
    member: str
    """The expression of a document's member, with the parameters `member` and `last`."""
    member_path: Callable[[str], str]
    """Returns the value of `member` for a member's name."""
    member_value: Callable[[str], str]
    """Returns a member's value as the expression returns it."""
    key_text: Callable[[str], str] = str
    """Returns the kind or the value of a key as the table of identities has it."""


class SqlListing:
    """The methods of a `Store` that list, over the reads of an engine."""

    PAGE_SYNTAX: PageSyntax

    async def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, whose parameters are `?`. Raises `Unavailable`."""
        raise NotImplementedError

    async def _read_page(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        """Return the rows of a page, which may read all rows of a database. Raises `Unavailable`."""
        raise NotImplementedError

    async def page(self, database: int, query: Query) -> list[Profile]:
        select, names = PROFILES, dict[str, str]()
        if query.key is not None:
            names = dict(zip(("key_kind", "key_value"), map(self.PAGE_SYNTAX.key_text, query.key), strict=True))
            named = NAMED.format(*map(self.PAGE_SYNTAX.parameter.format, ("database", *names)))
            select = PROFILES.replace("FROM profiles", f"FROM {named} JOIN profiles USING (database, id)")
        sql, values = page_statement(self.PAGE_SYNTAX, select, database, query, ("created", "updated"))
        rows = await self._read_page(sql, {**values, **names})
        return [Profile(id, orjson.loads(document), *rest) for id, document, *rest in rows]

    async def job(self, database: int, id: str) -> Job | None:
        rows = await self._read(JOB, (database, id))
        return job_of(rows[0]) if rows else None

    async def jobs(self, database: int, kind: str, query: Query) -> list[Job]:
        sql, values = page_statement(self.PAGE_SYNTAX, JOBS, database, query, ("created",), kind=kind)
        rows = await self._read_page(sql, values)
        return [Job(id, created, total, failed, kind=kind) for id, created, total, failed in rows]


def page_statement(
    syntax: PageSyntax, select: str, database: int, query: Query, times: tuple[str, ...], **equal: str
) -> tuple[str, dict[str, Any]]:
    """Return the statement of a page, and its values. `times` are the columns that the query may limit."""
    by_member = query.sort not in ("id", *times)
    sort = syntax.member if by_member else query.sort
    parameter = syntax.parameter.format
    values: dict[str, Any] = {"database": database, "limit": query.limit, **equal}
    conditions = [f"{name} = {parameter(name)}" for name in ("database", *equal)]
    if by_member:
        values |= {"member": syntax.member_path(query.sort), "last": SORTED_LAST}
    for name, time, sign, limit in _time_limits(query, times):
        conditions.append(f"{time} {sign} {parameter(name)}")
        values[name] = limit
    if query.after:
        value, id = query.after
        conditions.append(f"({sort}, id) {'<' if query.descending else '>'} ({parameter('value')}, {parameter('id')})")
        values |= {"value": syntax.member_value(value) if by_member else value, "id": id}
    order = " DESC" if query.descending else ""
    clauses = f"WHERE {' AND '.join(conditions)} ORDER BY {sort}{order}, id{order} LIMIT {parameter('limit')}"
    return f"{select} {clauses}", values


def _time_limits(query: Query, times: Iterable[str]) -> Iterator[tuple[str, str, str, int]]:
    """Return the name, the column, the sign and the value of each limit of a query."""
    for time in times:
        for bound, sign, limit in zip(("from", "to"), "><", getattr(query, time), strict=True):
            if limit is not None:
                yield f"{time}_{bound}", time, sign, limit
