"""What a relay counts: the values that were not sent, the failures, and the requests of the last minutes."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from gateway.media import json

COUNTS = "counts"
"""The note with the counts. Other notes are vendor's ids, by profile."""

MINUTE = 60_000


class Counts(Struct):
    """`skipped` by pointer, `failures` by status, since the relay was created. Times are in milliseconds since 1970."""

    skipped: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    minute: int = 0
    sent: int = 0
    """Requests in the minute that was counted last, and in the one before it."""
    sent_before: int = 0

    def add_skipped(self, pointers: Iterable[str]) -> None:
        """Count values that were not sent."""
        self.skipped = dict(Counter(self.skipped) + Counter(each or "/" for each in pointers))

    def add_reply(self, status: int | None, is_success: bool, now: int) -> None:
        """Count a request. Without a status there was no reply."""
        self._move_to(now // MINUTE)
        self.sent += 1
        if not is_success:
            name = str(status) if status else "no reply"
            self.failures[name] = self.failures.get(name, 0) + 1

    def rate(self, now: int) -> float:
        """Return the requests per second of the last minute, of which a part is estimated."""
        self._move_to(now // MINUTE)
        return (self.sent + self.sent_before * (1 - now % MINUTE / MINUTE)) / 60

    def note(self) -> str:
        """Return the text that `parse_counts` reads."""
        return json.encode(asdict(self)).decode()

    def _move_to(self, minute: int) -> None:
        if minute != self.minute:
            self.sent_before = self.sent if minute == self.minute + 1 else 0
            self.minute, self.sent = minute, 0


def parse_counts(note: str | None) -> Counts:
    """Return the counts of a note; new ones where there is none."""
    members: Any = json.decode(note.encode()) if note else {}
    return Counts(**members)
