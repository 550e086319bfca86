"""Erasure in PostgreSQL: its own statements, and the search for what remains of values."""

from gateway.core.model import JobCursor
from gateway.stores.erasure import ErasureSql, Statements
from gateway.stores.postgresql.connections import Connection, to_psycopg

# PostgreSQL reads no member of a JSON text that has a NUL anywhere. An index has the same expression.
ANSWERED_PROFILE = r"(replace(profile, '\u0000', '\u0001')::json -> 1 ->> 'id')"

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
)


async def run_statements(connection: Connection, statements: Statements) -> JobCursor | None:
    """Run the statements of an erasure. Return what they return."""
    try:
        sql, values = next(statements)
        while True:
            cursor = await connection.execute(to_psycopg(sql), values)
            sql, values = statements.send(await cursor.fetchall() if cursor.description else [])
    except StopIteration as end:
        result: JobCursor | None = end.value
        return result
