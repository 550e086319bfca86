"""Histories of appends to one list and reads of it, and a check that they are linearizable.

Each element is appended once, so the final list gives the order: an append has the position of its element, and a read
that of the end of its list. The history is linearizable if no step comes before one that ended before it began.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Append:
    """An append of one element. Times are of one clock, in seconds. It ends with its acknowledgement, or never."""

    element: str
    began: float
    ended: float = float("inf")

    @property
    def is_acknowledged(self) -> bool:
        return self.ended < float("inf")


@dataclass(frozen=True)
class Read:
    """A read of the list, and of the counter, which each append also increments."""

    seen: tuple[str, ...]
    counter: int
    began: float
    ended: float


def violations(history: Sequence[Append | Read], final: Read) -> Iterator[str]:
    """Return descriptions of what no order explains. `final` is a read after all other steps."""
    positions = {element: position for position, element in enumerate(final.seen)}
    for element, times in Counter(final.seen).items():
        if times > 1:
            yield f"{element} was kept {times} times"
    for step in (*history, final):
        if isinstance(step, Append):
            if step.is_acknowledged and step.element not in positions:
                yield f"{step.element} was acknowledged and is lost"
        elif step.seen != final.seen[: len(step.seen)]:
            yield f"what was read at {step.ended} is no beginning of the list"
        elif step.counter != len(step.seen):
            yield f"what was read at {step.ended} has {len(step.seen)} elements and counted {step.counter}"
    steps = [step for step in history if isinstance(step, Read) or step.element in positions]
    yield from _out_of_order([*steps, final], positions)


def _out_of_order(steps: Sequence[Append | Read], positions: dict[str, int]) -> Iterator[str]:
    """Return descriptions of the steps that come before one that ended before they began."""

    def position(step: Append | Read) -> float:
        return positions[step.element] if isinstance(step, Append) else len(step.seen) - 0.5

    by_end = iter(sorted(steps, key=lambda step: step.ended))
    latest, ended = -1.0, next(by_end, None)
    for step in sorted(steps, key=lambda step: step.began):
        while ended and ended.ended < step.began:
            latest, ended = max(latest, position(ended)), next(by_end, None)
        if position(step) < latest:
            yield f"{step} comes before what had ended when it began"
