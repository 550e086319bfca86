"""Histories of appends to one list and reads of it, and whether some order of one step at a time explains them.

Each element is appended once, so the list at the end tells the order: an append has the place of its element in it, and
a read that of the end of what it saw. The history is linearizable where no step comes before one that had ended when it
began.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Append:
    """Of one element. Times are of one clock, in seconds; it ends where it was acknowledged, else never."""

    element: str
    began: float
    ended: float = float("inf")

    @property
    def is_acknowledged(self) -> bool:
        return self.ended < float("inf")


@dataclass(frozen=True)
class Read:
    """What was seen, and the counter beside it, which each append also moves by one."""

    seen: tuple[str, ...]
    counter: int
    began: float
    ended: float


def violations(history: Sequence[Append | Read], final: Read) -> Iterator[str]:
    """What no order explains, in words. `final` was read when all else had ended."""
    places = {element: place for place, element in enumerate(final.seen)}
    for element, times in Counter(final.seen).items():
        if times > 1:
            yield f"{element} was kept {times} times"
    for step in (*history, final):
        if isinstance(step, Append):
            if step.is_acknowledged and step.element not in places:
                yield f"{step.element} was acknowledged and is lost"
        elif step.seen != final.seen[: len(step.seen)]:
            yield f"what was read at {step.ended} is no beginning of the list"
        elif step.counter != len(step.seen):
            yield f"what was read at {step.ended} has {len(step.seen)} elements and counted {step.counter}"
    known = [step for step in history if isinstance(step, Read) or step.element in places]
    yield from _out_of_time([*known, final], places)


def _out_of_time(steps: Sequence[Append | Read], places: dict[str, int]) -> Iterator[str]:
    """Steps that come before one that had ended when they began."""

    def place(step: Append | Read) -> float:
        return places[step.element] if isinstance(step, Append) else len(step.seen) - 0.5

    by_end = iter(sorted(steps, key=lambda step: step.ended))
    latest, ended = -1.0, next(by_end, None)
    for step in sorted(steps, key=lambda step: step.began):
        while ended and ended.ended < step.began:
            latest, ended = max(latest, place(ended)), next(by_end, None)
        if place(step) < latest:
            yield f"{step} comes before what had ended when it began"
