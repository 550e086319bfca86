"""The tables of a SQLite file, and their migrations.

Every key of profile data begins with the database, and no unique index lacks it, so that any engine can have this
layout.
"""

from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import apsw

from gateway.stores.consent_migration import ledger_rows_of_profiles
from gateway.stores.errors import Unusable
from gateway.stores.journal_migration import row_of_record
from gateway.stores.listing_migration import segment_rows
from gateway.stores.sqlite.connections import transaction
from gateway.stores.sqlite.file import APPLICATION_ID, another_program
from gateway.stores.sqlite.snapshot import ADD_ENTRY

# Profiles and changes have a rowid: in the tree of a key, a row of more than 1,000 bytes spills into a page of its own
# (a new profile's change then used 4,660 bytes, not 1,380). Identities are keys alone and need no second tree. The
# position of an entry is never used again: a plain rowid would be, after the newest rows were removed.
MIGRATIONS = (
    """
    CREATE TABLE databases (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, closed INTEGER NOT NULL, fields TEXT NOT NULL,
        company_id TEXT UNIQUE
    ) STRICT;
    CREATE TABLE tokens (
        hash TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, database INTEGER NOT NULL REFERENCES databases,
        rights TEXT NOT NULL, created INTEGER NOT NULL, revoked INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE resources (
        database INTEGER NOT NULL REFERENCES databases, id INTEGER NOT NULL, name TEXT NOT NULL,
        categories TEXT NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (database, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE segments (
        database INTEGER NOT NULL REFERENCES databases, id INTEGER NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (database, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE epoch (number INTEGER NOT NULL) STRICT;
    INSERT INTO epoch VALUES (1);
    CREATE TABLE profiles (
        database INTEGER NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, version INTEGER NOT NULL,
        created INTEGER NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY (database, id)
    ) STRICT;
    CREATE TABLE identities (
        database INTEGER NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, profile TEXT NOT NULL,
        PRIMARY KEY (database, kind, value, profile)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changes (
        database INTEGER NOT NULL, time INTEGER NOT NULL, profile TEXT NOT NULL, version INTEGER NOT NULL,
        token TEXT NOT NULL, dialect TEXT NOT NULL, triggers INTEGER NOT NULL, patch TEXT NOT NULL
    ) STRICT;
    CREATE INDEX changes_in_time ON changes (database, time);
    """,
    """
    CREATE TABLE jobs (
        database INTEGER NOT NULL, id TEXT NOT NULL, created INTEGER NOT NULL, total INTEGER NOT NULL,
        failed INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (database, id)
    ) STRICT;
    CREATE INDEX jobs_in_time ON jobs (database, created, id);
    CREATE TABLE once (
        database INTEGER NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, until INTEGER NOT NULL,
        profile TEXT NOT NULL, PRIMARY KEY (database, key)
    ) STRICT;
    CREATE INDEX once_in_time ON once (database, until);
    """,
    "ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'import'",
    """
    CREATE TABLE ledgers (
        database INTEGER NOT NULL, address TEXT NOT NULL, ledger TEXT NOT NULL, PRIMARY KEY (database, address)
    ) STRICT, WITHOUT ROWID;
    """,
    "ALTER TABLE tokens ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE store (id TEXT NOT NULL) STRICT;
    INSERT INTO store VALUES (lower(hex(randomblob(16))));
    CREATE TABLE journal (
        position INTEGER PRIMARY KEY AUTOINCREMENT, database INTEGER NOT NULL, profile TEXT NOT NULL,
        version INTEGER NOT NULL, kind TEXT NOT NULL, time INTEGER NOT NULL, observed INTEGER, token TEXT NOT NULL,
        dialect TEXT NOT NULL, request TEXT NOT NULL, triggers INTEGER NOT NULL, members TEXT NOT NULL
    ) STRICT;
    CREATE INDEX journal_of_database ON journal (database);
    CREATE INDEX journal_of_profile ON journal (database, profile);
    CREATE INDEX journal_in_time ON journal (database, time);
    CREATE TABLE pruned (database INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;
    """,
    """
    CREATE TABLE subscribers (
        database INTEGER NOT NULL REFERENCES databases, id TEXT NOT NULL, kind TEXT NOT NULL, created INTEGER NOT NULL,
        settings TEXT NOT NULL, secret TEXT NOT NULL, position TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
        revision INTEGER NOT NULL, owner TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (database, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE deliveries (
        database INTEGER NOT NULL, subscriber TEXT NOT NULL, position TEXT NOT NULL, profile TEXT NOT NULL,
        attempts INTEGER NOT NULL, since INTEGER NOT NULL, due INTEGER NOT NULL, reason TEXT NOT NULL,
        dead INTEGER NOT NULL, PRIMARY KEY (database, subscriber, position)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE journal ADD COLUMN merge TEXT;
    ALTER TABLE journal ADD COLUMN replay TEXT;
    CREATE INDEX journal_of_merge ON journal (database, merge) WHERE merge IS NOT NULL;
    CREATE INDEX journal_of_merges ON journal (database, position) WHERE merge IS NOT NULL;
    """,
    """
    CREATE INDEX once_of_profile ON once (database, json_extract(profile, '$[1].id'));
    CREATE INDEX journal_of_removals ON journal (database, position) WHERE kind = 'remove';
    CREATE INDEX journal_of_merged_profile ON journal (database, profile) WHERE merge IS NOT NULL;
    """,
    """
    CREATE TABLE subscriber_notes (
        database INTEGER NOT NULL, subscriber TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (database, subscriber, name)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE refused (
        database INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, time INTEGER NOT NULL,
        request TEXT NOT NULL, token TEXT NOT NULL, dialect TEXT NOT NULL, fault TEXT NOT NULL,
        replayed INTEGER NOT NULL, is_known INTEGER NOT NULL, encoding TEXT NOT NULL, body TEXT NOT NULL,
        content TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (database, position), UNIQUE (database, id)
    ) STRICT;
    CREATE INDEX refused_in_time ON refused (database, time);
    CREATE INDEX refused_of_unknown ON refused (database) WHERE is_known = 0;
    CREATE TABLE refused_keys (
        database INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (database, key, position),
        FOREIGN KEY (database, position) REFERENCES refused ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX refused_keys_of_request ON refused_keys (database, position);
    CREATE TABLE erasures (database INTEGER PRIMARY KEY, time INTEGER NOT NULL) STRICT;
    """,
    """
    ALTER TABLE resources ADD COLUMN token_hash TEXT;
    ALTER TABLE resources ADD COLUMN public_key TEXT;
    CREATE UNIQUE INDEX resources_by_token ON resources (token_hash);
    """,
    "-- Segments list their profiles: see `_fill_keys`.",
    "ALTER TABLE deliveries ADD COLUMN entry TEXT",
    """
    ALTER TABLE segments ADD COLUMN created INTEGER;
    ALTER TABLE segments ADD COLUMN updated INTEGER;
    ALTER TABLE segments ADD COLUMN is_double_opt_in INTEGER NOT NULL DEFAULT 0;
    """,
    "ALTER TABLE tokens ADD COLUMN user_hash TEXT",
    """
    ALTER TABLE segments RENAME TO numbered_segments;
    CREATE TABLE segments (
        database INTEGER NOT NULL REFERENCES databases, id TEXT NOT NULL, name TEXT NOT NULL, created INTEGER,
        updated INTEGER, is_double_opt_in INTEGER NOT NULL, preferences TEXT NOT NULL, archived INTEGER,
        PRIMARY KEY (database, id)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO segments
        SELECT database, CAST(id AS TEXT), name, created, updated, is_double_opt_in, '{}', NULL FROM numbered_segments;
    DROP TABLE numbered_segments;
    """,
)
"""The steps from an empty file to this version's layout. A released step is never altered: a change is a new step."""


LEDGERS_VERSION, JOURNAL_VERSION, KEYS_VERSION = 4, 6, 13
"""The layouts that have ledgers, a journal, and keys that list profiles. The ledgers and the keys of older layouts are
derived from the profiles, the entries of the journal from the records of changes."""


RECORDS = """SELECT database, time, profile, version, token, dialect, triggers, patch FROM changes
    ORDER BY database, time, rowid"""

READ_ONLY = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI

OWN_TABLES = frozenset({"databases", "tokens", "epoch", "profiles", "identities"})
"""The tables of the first layout, by which a file of an older version without our mark is recognized."""


def new_content() -> bytes:
    """Return the content of a new file."""
    connection = apsw.Connection(":memory:")
    for step in MIGRATIONS:
        connection.execute(step)
    _fill_journal(connection)
    _mark(connection)
    return connection.serialize("main")


def migrate(connection: apsw.Connection) -> None:
    """Migrate the file to this version's layout.

    Raises `Unavailable` where a newer version wrote it, or another program.
    """
    if _version(connection) == len(MIGRATIONS) and connection.pragma("application_id") == APPLICATION_ID:
        return
    with transaction(connection):
        # Read again under the lock: where two processes open an old file at once, the second has nothing to do.
        version = _version(connection)
        require_layout(version)
        if not version or not _tables_of(connection) >= OWN_TABLES:
            raise another_program(connection.filename)
        for step in MIGRATIONS[version:]:
            connection.execute(step)
        if version < LEDGERS_VERSION:
            _fill_ledgers(connection)
        if version < JOURNAL_VERSION:
            _fill_journal(connection)
        if version < KEYS_VERSION:
            _fill_keys(connection)
        _mark(connection)


def require_layout(version: int) -> None:
    """Raise `Unusable` where a newer version wrote the file."""
    if version > len(MIGRATIONS):
        raise Unusable(f"a newer version wrote layout {version} of the store, this one has {len(MIGRATIONS)}")


def require_own_tables(file: str) -> None:
    """Raise `Unavailable` where the tables of a file are another program's. Touch nothing, not even a log of it."""
    tables = set()
    with closing(apsw.Connection(f"file:{quote(file)}?immutable=1", READ_ONLY)) as connection, suppress(apsw.Error):
        tables = _tables_of(connection)
    # The file alone may have no tables yet, or be between two states: `migrate` reads it together with its log.
    is_incomplete = not tables and Path(f"{file}-wal").exists()
    if not is_incomplete and not tables >= OWN_TABLES:
        raise another_program(file)


def _tables_of(connection: apsw.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def _mark(connection: apsw.Connection) -> None:
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", len(MIGRATIONS))


def _fill_ledgers(connection: apsw.Connection) -> None:
    profiles = connection.execute("SELECT database, document, updated FROM profiles ORDER BY updated")
    connection.executemany("INSERT INTO ledgers VALUES (?, ?, ?)", ledger_rows_of_profiles(profiles))


def _fill_keys(connection: apsw.Connection) -> None:
    rows = segment_rows(connection.execute("SELECT database, id, document FROM profiles"))
    connection.executemany("INSERT INTO identities VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)


def _fill_journal(connection: apsw.Connection) -> None:
    """Move the records of changes of the first layout into the journal."""
    connection.executemany(ADD_ENTRY, map(row_of_record, connection.execute(RECORDS)))
    connection.execute("DROP TABLE changes")


def _version(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version"))
