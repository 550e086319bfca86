"""Runs the cases of a folder and tells what came of each. One that cannot be run never keeps another from running."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.testkit import embedded
from gateway.testkit.case import Case, IllFormed, folders_in, read, untranslatable
from gateway.testkit.remote import Away, Remote
from gateway.testkit.verdict import Answer, Garbage, Rows, judge

PASSED, FAILED, BROKEN, SKIPPED = "passed", "failed", "broken", "skipped"

Converse = Callable[[Case], Awaitable[tuple[Answer, Rows | None]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case in one media type, and why: the differences, or the reason it could not be run."""

    folder: Path
    media: str
    kind: str
    told: Sequence[str] = ()
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.folder.name}[{self.media}]" if self.media else self.folder.name


async def outcomes(path: Path, media: Sequence[str], remote: Remote | None) -> AsyncIterator[Outcome]:
    """The outcome of every case at or below a path, each on a gateway of its own or on the remote server."""
    for folder in folders_in(path):
        try:
            cases = read(folder, media)
        except IllFormed as reason:
            yield Outcome(folder, "", BROKEN, [str(reason)])
            continue
        for case in cases:
            yield await outcome(case, remote)


async def outcome(case: Case, remote: Remote | None) -> Outcome:
    """What comes of one case."""
    if reason := unfit(case, remote):
        return Outcome(case.folder, case.media, SKIPPED, [reason])
    begun = time.perf_counter()
    kind, told = await _judged(case, remote.converse if remote else embedded.converse)
    return Outcome(case.folder, case.media, kind, told, time.perf_counter() - begun)


def unfit(case: Case, remote: Remote | None) -> str:
    """Why a case cannot be held in this media type or with this server, or ""."""
    if remote and case.needs:
        return f"it begins with {case.needs}, which cannot be set on a server at a URL"
    return untranslatable(case)


async def _judged(case: Case, converse: Converse) -> tuple[str, Sequence[str]]:
    try:
        answer, profiles = await converse(case)
        found = [str(difference) for difference in judge(case, answer, profiles)]
    except (Away, Garbage, IllFormed, OSError) as reason:
        return BROKEN, [str(reason)]
    if case.known_gap:
        return (
            (SKIPPED, [f"a known gap: {case.known_gap}"]) if found else (FAILED, ["it passes: remove its file xfail"])
        )
    return (FAILED, found) if found else (PASSED, [])
