"""What a store reports about its work, for metrics."""

from typing import Protocol


class StoreObserver(Protocol):
    """Observes the transactions of an engine. One without transactions reports nothing."""

    def group_stored(self, steps: int, waiting: int) -> None:
        """Observe a group of changes and other steps that are stored, and how many calls wait for the next group."""
        ...

    def committed(self, seconds: float) -> None:
        """Observe the time of a commit, which includes the sync of the disk. Any thread may call this."""
        ...
