"""Erasure in PostgreSQL: its own statements, and the search for what remains of values."""

from collections.abc import Collection

from gateway.core.model import JobCursor
from gateway.stores.erasure import ErasureSql
from gateway.stores.postgresql.connections import Connection, to_psycopg
from gateway.stores.refused import RefusedSql
from gateway.stores.statements import Statements

# PostgreSQL reads no member of a JSON text that has a NUL anywhere. An index has the same expression.
ANSWERED_PROFILE = r"(replace(profile, '\u0000', '\u0001')::json -> 1 ->> 'id')"

REFUSED_SQL = RefusedSql(
    "SELECT 1 FROM ledgers WHERE database = ? AND key IN (SELECT json_array_elements_text(?::json)) LIMIT 1",
    "INSERT INTO refused_keys SELECT ?::bigint, ?::bigint, json_array_elements_text(?::json)",
    """DELETE FROM refused WHERE database = ? AND position IN (SELECT position FROM refused_keys
        WHERE database = ? AND key IN (SELECT json_array_elements_text(?::json)))""",
    "LOCK TABLE refused IN SHARE ROW EXCLUSIVE MODE",
)

ERASURE_SQL = ErasureSql(
    (
        """WITH old AS (SELECT transaction, number, request FROM journal
            WHERE database = %(database)s AND profile = %(profile)s AND (members <> %(members)s OR request <> '')
            ORDER BY transaction, number LIMIT %(limit)s FOR UPDATE)
        UPDATE journal SET members = %(members)s, replay = NULL, request = '' FROM old
        WHERE database = %(database)s AND profile = %(profile)s
            AND journal.transaction = old.transaction AND journal.number = old.number
        RETURNING old.request""",
    ),
    f"DELETE FROM once WHERE database = ? AND {ANSWERED_PROFILE} = ? RETURNING key",
    """INSERT INTO ledgers (database, key, address, ledger)
    SELECT database, address, address, ledger FROM (VALUES (?, ?, ?)) AS new (database, address, ledger)
    ON CONFLICT (database, key) DO UPDATE SET ledger = excluded.ledger""",
    REFUSED_SQL,
)


TABLES = """SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = current_schema()::regnamespace"""


async def compact(connection: Connection) -> None:
    """Write every table anew."""
    await connection.execute("VACUUM (FULL)")


async def occurrences(connection: Connection, texts: Collection[str]) -> dict[str, int]:
    """Return in how many rows of each table one of the texts is; what is empty is left out."""
    # A row as text doubles quotation marks and backslashes.
    forms = sorted({form for text in texts if text for form in (text, text.replace("\\", "\\\\").replace('"', '""'))})
    found = {}
    for (name,) in await (await connection.execute(TABLES)).fetchall():
        sql = f"""SELECT count(*) FROM "{name}" AS row
            WHERE EXISTS (SELECT FROM unnest(%b::text[]) AS form WHERE strpos(row::text, form) > 0)"""
        [[count]] = await (await connection.execute(sql, (forms,))).fetchall()
        if count:
            found[f"table {name}"] = int(count)
    return found


async def run_statements(connection: Connection, statements: Statements) -> JobCursor | None:
    """Run statements. Return what they return."""
    try:
        sql, values = next(statements)
        while True:
            cursor = await connection.execute(to_psycopg(sql), values)
            sql, values = statements.send(await cursor.fetchall() if cursor.description else [])
    except StopIteration as end:
        result: JobCursor | None = end.value
        return result
