"""Checkpoints: a thread writes the log's pages into the file while changes go on."""

from contextlib import suppress
from threading import Event, Thread

import apsw

from gateway.stores.sqlite.file import has_moved

CHECKPOINT_LOG_PAGES, MAX_LOG_PAGES = 4_000, 16_000
"""Pages in the log from which on a thread writes them into the file beside the load, or else between two groups.

A log that starts over uses blocks that it has: a commit then takes half the time of one that makes the log longer.
"""


class Checkpoints:
    """Writes the log into the file beside the load: within a commit, every call of that group would wait for it."""

    def __init__(self, writer: apsw.Connection, own: apsw.Connection) -> None:
        self._writer, self._own = writer, own
        self.is_overdue = False
        """Whether the log is too long, so that `run` must complete it: without pauses between commits, the thread never
        does."""
        self._due = Event()
        self._open = True
        self._thread = Thread(target=self._serve, name="store-checkpoints", daemon=True)
        writer.set_wal_hook(self._count)
        self._thread.start()

    def run(self) -> None:
        """Write the rest of a log that is too long, between two groups."""
        _checkpoint(self._writer)

    def empty_log(self) -> None:
        """Write the whole log into the file and cut it to nothing, on the writer's thread: its blocks become free."""
        _checkpoint(self._writer, apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def close(self) -> None:
        """Wait for the checkpoint that runs."""
        self._open = False
        self._due.set()
        self._thread.join()

    def _count(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        # A failure here would look like one of the commit, which is done: so nothing here can fail.
        self.is_overdue = pages >= MAX_LOG_PAGES
        if CHECKPOINT_LOG_PAGES <= pages < MAX_LOG_PAGES:
            self._due.set()
        return apsw.SQLITE_OK

    def _serve(self) -> None:
        while self._due.wait() and self._open:
            self._due.clear()
            _checkpoint(self._own)


def _checkpoint(connection: apsw.Connection, mode: int = apsw.SQLITE_CHECKPOINT_PASSIVE) -> None:
    with suppress(apsw.Error):  # another process prevents it, or the disk fails: the next commit tries again
        if not has_moved(connection):  # a moved file may belong to another program, such as a backup
            connection.wal_checkpoint(mode=mode)
