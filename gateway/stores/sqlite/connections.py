"""Connections to a SQLite file, and their transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import apsw

LOCK_TIMEOUT_SECONDS, LOCK_RETRY_SECONDS = 5.0, 0.001
"""How long a connection waits for the lock of another, and the pause between two attempts."""

SYNCHRONOUS = "FULL"
"""Each commit is synced before it is acknowledged. It is no setting: less would lose acknowledged changes."""

CACHE_KIB, WRITER_CACHE_KIB = 16_384, 24_576
"""The memory for pages of a connection.

Among a million profiles each change is to other pages: with 16 MiB the writer read 3.2 of them from the file, with
256 MiB 1.3, and used 97 µs of a processor, not 119. But a process then grew to 357 MiB in a million requests, with
32 MiB to 106, and with 24 to 96: the operating system caches the same pages anyway.
"""

ENGINE_FAILURES = (
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
"""The exceptions of apsw where the engine fails, not the statement: a store raises `Unavailable`."""


MAX_IDLE_LOG_BYTES = 32 * 1024 * 1024
"""The size to which a log that starts over is cut. A shorter one keeps its blocks: a commit then takes less time."""


def connect(file: str, cache_kib: int = CACHE_KIB) -> apsw.Connection:
    """Return a connection to an existing file, with a write-ahead log.

    It waits for locks, syncs each commit and makes no checkpoints.
    """
    connection = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_handler(retry_lock)
    _write_ahead(connection)
    connection.wal_autocheckpoint(0)
    connection.pragma("synchronous", SYNCHRONOUS)
    connection.pragma("cache_size", -cache_kib)
    connection.pragma("journal_size_limit", MAX_IDLE_LOG_BYTES)
    connection.pragma("foreign_keys", True)
    connection.pragma("secure_delete", True)  # what is removed is overwritten: an erasure leaves nothing in free pages
    return connection


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Commit everything or nothing. The write lock is acquired first: a read lock cannot always become one."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A failed disk may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def retry_lock(attempts: int) -> bool:
    """Pause before the next attempt. Return whether there is one."""
    # SQLite's own pauses grow to 100 ms: a connection that pauses so long finds a busy lock each time.
    sleep(LOCK_RETRY_SECONDS)
    return attempts * LOCK_RETRY_SECONDS < LOCK_TIMEOUT_SECONDS


def _write_ahead(connection: apsw.Connection) -> None:
    """Turn the write-ahead log on. SQLite does not call the busy handler where another process does the same."""
    until = monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            connection.pragma("journal_mode", "wal")
            return
        except apsw.BusyError:
            if monotonic() > until:
                raise
            sleep(LOCK_RETRY_SECONDS)
