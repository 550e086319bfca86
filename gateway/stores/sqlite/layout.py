"""The tables of a SQLite file, how a file is brought to them, and how a connection to one is made.

Any engine can hold this layout: every key of profile data begins with the database, and no unique index lacks it.
No profile is read or written here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import apsw

from gateway.stores.errors import Unavailable

PATIENCE, NAP = 5.0, 0.001
"""How long a connection waits for another's lock, and between two tries, in seconds."""

SYNCHRONOUS = "FULL"
"""Each commit is synced before it is acknowledged. No setting leads here: less would lose what was acknowledged."""

CACHE, CACHE_OF_WRITER = 16_384, 24_576
"""Pages that a connection keeps in memory, in KiB, as far as the file has as many.

Among a million profiles each change is to other pages: with 16 MiB it had to get 3.2 of them from the file, with
256 MiB 1.3, and took 97 µs of a processor, not 119. But a process then grew to 357 MiB in a million requests, whatever
it held, with 32 MiB to 106, and with 24 to 96: the operating system keeps the same pages anyway.
"""

OUT_OF_ORDER = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.NoMemError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ProtocolError,
    apsw.ConnectionClosedError,
)
"""What apsw raises where the engine fails, not what it was given: the caller hears `Unavailable`."""

# Profiles and changes have a rowid: in the tree of a key itself, a row of more than 1,000 bytes spills into a page of
# its own (a new profile's change then took 4,660 bytes, not 1,380). Identities are nothing but key and need no second
# tree. The rowid of a change also says which of two in the same millisecond came first.
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
)
"""The way from an empty file to this version's layout. A released step is never altered: a change is a further step."""


def connect(file: str, cache: int = CACHE) -> apsw.Connection:
    """A connection that waits for locks, writes ahead, syncs each commit, and leaves checkpoints to the writer."""
    connection = apsw.Connection(file)
    connection.set_busy_handler(_try_again)
    _write_ahead(connection)
    connection.wal_autocheckpoint(0)
    connection.pragma("synchronous", SYNCHRONOUS)
    connection.pragma("cache_size", -cache)
    connection.pragma("foreign_keys", True)
    return connection


def migrate(connection: apsw.Connection) -> None:
    """Brings the file to this version's layout. Raises `Unavailable` where a newer version wrote it."""
    if _version(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        # Read again under the lock: of two processes that open a fresh file at once, the second finds the work done.
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise Unavailable(f"the file has layout {version}, this version knows {len(MIGRATIONS)}: use a newer one")
        for step in MIGRATIONS[version:]:
            connection.execute(step)
        connection.pragma("user_version", len(MIGRATIONS))


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Keeps everything or nothing. It takes the write lock at once: a read lock could not always grow into one."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A failed disk may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _try_again(tries: int) -> bool:
    # SQLite's own naps grow to 100 ms: whoever naps so long finds the lock with its busy neighbour each time.
    sleep(NAP)
    return tries * NAP < PATIENCE


def _version(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version"))


def _write_ahead(connection: apsw.Connection) -> None:
    """Turns the write-ahead log on. Here alone SQLite does not wait by itself where another process does the same."""
    until = monotonic() + PATIENCE
    while True:
        try:
            connection.pragma("journal_mode", "wal")
            return
        except apsw.BusyError:
            if monotonic() > until:
                raise
            sleep(NAP)
