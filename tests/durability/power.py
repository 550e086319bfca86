"""The power fails: possible states of the disk are rebuilt from a recording, and each is opened as a store.

That is done for each acknowledgement and each sync: with none, all and some of the waiting writes, and with torn ones.
The control syncs less (`synchronous=NORMAL`) and must lose changes. Where syncs fail, nothing may be lost either.
"""

import asyncio
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from gateway.stores import open_store
from gateway.stores.errors import Unavailable
from tests.durability import Outcome
from tests.durability.disk import Disk
from tests.durability.load import clients, elements_of
from tests.durability.recording import CallEnd, CallStart, RecordedService, events, strings

ACKNOWLEDGED = 300
"""In each of the two runs of a recorded gateway: the first ends by a kill, the second by a regular stop."""

CHECKPOINT_PAGES = "60"
FAILING_SYNC = "fdatasync:error=EIO:when=10+3"
"""From its tenth sync on, every third sync of a thread fails."""

RESPONSE_CALLS = "write", "writev", "sendto", "sendmsg"
_ANSWER = re.compile(rb'"error":0,.*"profile_id":"([0-9a-f]{24})"')


@dataclass
class Tally:
    """The results of the states of one recording."""

    acknowledged: int = 0
    failed_syncs: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """States without an acknowledged element."""

    def __str__(self) -> str:
        return ", ".join(f"{self.states[kind]:,} with {kind}: {self.lost[kind]:,} lost" for kind in self.states)


def run(folder: Path) -> Outcome:
    full = _run_recording(folder / "full", "FULL")
    failing = _run_recording(folder / "failing", "FULL", FAILING_SYNC)
    control = _run_recording(folder / "control", "NORMAL")
    figures = {
        "acknowledged": full.acknowledged,
        "states rebuilt": full.states.total(),
        "states with a loss": full.lost.total(),
        "of what was not yet synced": full,
        "syncs that failed, and acknowledged beside them": f"{failing.failed_syncs:,}, {failing.acknowledged:,}",
        "states rebuilt with failed syncs": failing.states.total(),
        "states with a loss with failed syncs": failing.lost.total(),
        "states rebuilt for the control (synchronous=NORMAL)": control.states.total(),
        "states with a loss for the control": control.lost.total(),
    }
    is_sound = full.acknowledged > 0 and full.lost.total() == failing.lost.total() == 0
    return Outcome(figures, is_sound and failing.failed_syncs > 0 and control.lost.total() > 0)


def _run_recording(folder: Path, synchronous: str, fault: str = "") -> Tally:
    store = folder / "store"
    store.mkdir(parents=True)
    disk, tally, expected = Disk(str(store), Random(1)), Tally(), Counter[str]()
    for end in ("killed", "stopped"):
        trace = folder / f"{end}.trace"
        altered = {"GATEWAY_TEST_SYNCHRONOUS": synchronous, "GATEWAY_TEST_CHECKPOINT_LOG_PAGES": CHECKPOINT_PAGES}
        with RecordedService(f"sqlite:///{store}/profiles.db", folder / "log", trace, altered, fault) as service:
            asyncio.run(_run_load(service, end))
        asyncio.run(_replay(trace, disk, expected, tally))
    tally.acknowledged, tally.failed_syncs = expected.total(), disk.failed_syncs
    return tally


async def _run_load(service: RecordedService, end: str) -> None:
    """Run some load until every call is answered, then end the gateway."""
    await asyncio.to_thread(service.start)
    async with clients(service.url, end) as logs:
        while sum(log.acknowledged for log in logs) < ACKNOWLEDGED:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(service.kill if end == "killed" else service.stop)


async def _replay(trace: Path, disk: Disk, expected: Counter[str], tally: Tally) -> None:
    """Replay the recording. Examine the disk after acknowledgements and syncs, before the next call on a file."""
    is_due = False
    for event in events(trace):
        acknowledged = _acknowledged(event)
        if is_due and not acknowledged and _changes_files(event):
            await _examine(disk, expected, tally)
            is_due = False
        disk.apply(event)
        expected.update(acknowledged)
        is_due = is_due or bool(acknowledged) or _is_sync(event)
    await _examine(disk, expected, tally)


def _acknowledged(event: CallStart | CallEnd) -> list[str]:
    """Return the ids of the profiles that a response names, when it may be sent."""
    if not isinstance(event, CallStart) or event.call not in RESPONSE_CALLS:
        return []
    return [found[1].decode() for found in map(_ANSWER.search, strings(event.text)) if found]


def _is_sync(event: CallStart | CallEnd) -> bool:
    return isinstance(event, CallStart) and event.call in ("fdatasync", "fsync")


def _changes_files(event: CallStart | CallEnd) -> bool:
    call = event if isinstance(event, CallStart) else event.start
    return call.call not in (*RESPONSE_CALLS, "openat")


async def _examine(disk: Disk, expected: Mapping[str, int], tally: Tally) -> None:
    for kind, files in disk.states():
        tally.states[kind] += 1
        tally.lost[kind] += not await _has_all(files, expected)


async def _has_all(files: Mapping[str, bytes], expected: Mapping[str, int]) -> bool:
    """Return whether a store of these files has every acknowledged element of each profile, each once."""
    folder = Path(tempfile.mkdtemp(dir=_memory()))
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        store = await open_store(f"sqlite:///{folder}/profiles.db", create="profiles.db" not in files)
        try:
            found = await store.find(1, [("id", id) for id in expected])
        finally:
            await store.close()
        have = {profile.id: elements_of([profile]) for profile in found}
        return all(_is_complete(have.get(id, ([], 0)), count) for id, count in expected.items())
    except Unavailable:
        return False
    finally:
        shutil.rmtree(folder)


def _is_complete(found: tuple[list[int], int], count: int) -> bool:
    seen, counter = found
    return len(seen) >= count and seen == list(range(len(seen))) and counter == len(seen)


def _memory() -> str | None:
    """Return a folder in memory, if there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
