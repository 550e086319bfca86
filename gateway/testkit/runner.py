"""Runs the cases of a folder and reports the result of each. A case that cannot run does not stop the others."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.testkit import embedded
from gateway.testkit.case import Case, InvalidCase, find_case_folders, read_cases, untranslatable_reason
from gateway.testkit.expectations import CaseResponse, Rows, UnreadableResponse, check_response
from gateway.testkit.remote import RemoteServer, ServerUnavailable

PASSED, FAILED, BROKEN, SKIPPED = "passed", "failed", "broken", "skipped"

SendCase = Callable[[Case], Awaitable[tuple[CaseResponse, Rows | None]]]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case in one media type. `messages` are the differences, or why the case could not run."""

    folder: Path
    media: str
    outcome: str
    messages: Sequence[str] = ()
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the case's folder, with the media type if there is one."""
        return f"{self.folder.name}[{self.media}]" if self.media else self.folder.name


async def run_cases(path: Path, media: Sequence[str], remote: RemoteServer | None) -> AsyncIterator[CaseResult]:
    """Run every case at or below a path: each against a gateway of its own, or all against the remote server."""
    for folder in find_case_folders(path):
        try:
            cases = read_cases(folder, media)
        except InvalidCase as error:
            yield CaseResult(folder, "", BROKEN, [str(error)])
            continue
        for case in cases:
            yield await run_case(case, remote)


async def run_case(case: Case, remote: RemoteServer | None) -> CaseResult:
    """Run one case."""
    if reason := skip_reason(case, remote):
        return CaseResult(case.folder, case.media, SKIPPED, [reason])
    start = time.perf_counter()
    outcome, messages = await _send_and_check(case, remote.send if remote else embedded.run_in_process)
    return CaseResult(case.folder, case.media, outcome, messages, time.perf_counter() - start)


def skip_reason(case: Case, remote: RemoteServer | None) -> str:
    """Return why a case cannot run in this media type or against this server, or ""."""
    if remote and case.needs:
        return f"it begins with {case.needs}, which cannot be set on a server at a URL"
    return untranslatable_reason(case)


async def _send_and_check(case: Case, send: SendCase) -> tuple[str, Sequence[str]]:
    """Return the outcome of a case and its messages."""
    try:
        response, profiles = await send(case)
    except (ServerUnavailable, InvalidCase, OSError) as error:
        return BROKEN, [str(error)]
    answer = ["the answer is:", *response.lines] if response.status != case.about["status"] else []
    try:
        differences = [str(difference) for difference in check_response(case, response, profiles)]
    except (UnreadableResponse, InvalidCase, OSError) as error:
        return BROKEN, [str(error), *answer]
    if case.known_gap and differences:
        return SKIPPED, [f"a known gap: {case.known_gap}"]
    if case.known_gap:
        return FAILED, ["it passes: remove its file xfail"]
    return (FAILED, [*differences, *answer]) if differences else (PASSED, [])
