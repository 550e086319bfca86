"""Erasure in a SQLite file: its own statements, and the search for what remains of values."""

import apsw

from gateway.core.model import JobCursor
from gateway.stores.erasure import ErasureSql
from gateway.stores.refused import RefusedSql
from gateway.stores.statements import Statements

ENTRIES = """FROM journal WHERE database = :database AND profile = :profile
    AND (members <> :members OR request <> '') ORDER BY position LIMIT :limit"""

REFUSED_SQL = RefusedSql(
    "SELECT 1 FROM ledgers WHERE database = ? AND address IN (SELECT value FROM json_each(?)) LIMIT 1",
    "INSERT INTO refused_keys SELECT ?, ?, value FROM json_each(?)",
    """DELETE FROM refused WHERE database = ? AND position IN (SELECT position FROM refused_keys
        WHERE database = ? AND key IN (SELECT value FROM json_each(?)))""",
)

ERASURE_SQL = ErasureSql(
    (
        f"SELECT request {ENTRIES}",
        f"""UPDATE journal SET members = :members, replay = NULL, request = ''
            WHERE position IN (SELECT position {ENTRIES})""",
    ),
    "DELETE FROM once WHERE database = ? AND json_extract(profile, '$[1].id') = ? RETURNING key",
    "INSERT INTO ledgers VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET ledger = excluded.ledger",
    REFUSED_SQL,
)


def run_statements(connection: apsw.Connection, statements: Statements) -> JobCursor | None:
    """Run statements. Return what they return."""
    try:
        statement = next(statements)
        while True:
            statement = statements.send(list(connection.execute(*statement)))
    except StopIteration as end:
        result: JobCursor | None = end.value
        return result
