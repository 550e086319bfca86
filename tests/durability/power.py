"""The power fails: every state that the disk could then be in is rebuilt from a recording, and opened as a store.

That is done for each acknowledgement and for each sync, of what was not yet synced with nothing, all, some and torn.
The control syncs less (`synchronous=NORMAL`) and must be seen to lose; where syncs fail nothing may be lost either.
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
from tests.durability.load import appended, clients
from tests.durability.recording import Began, Ended, Recorded, events, strings

ACKNOWLEDGED = 300
"""Of each of the two lives of a recorded gateway: the first ends by a kill, the second stops in order."""

CHECKPOINT_PAGES = "60"
FAILING_SYNC = "fdatasync:error=EIO:when=10+3"
"""From its tenth sync on, every third of a thread fails."""

ANSWERING = "write", "writev", "sendto", "sendmsg"
_ANSWER = re.compile(rb'"error":0,.*"profile_id":"([0-9a-f]{24})"')


@dataclass
class Tally:
    """What was found in the states of one recording."""

    acknowledged: int = 0
    failed_syncs: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """States in which something acknowledged is missing."""

    def __str__(self) -> str:
        return ", ".join(f"{self.states[kind]:,} with {kind}: {self.lost[kind]:,} lost" for kind in self.states)


def run(folder: Path) -> Outcome:
    full = _examined(folder / "full", "FULL")
    failing = _examined(folder / "failing", "FULL", FAILING_SYNC)
    control = _examined(folder / "control", "NORMAL")
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


def _examined(folder: Path, synchronous: str, fault: str = "") -> Tally:
    store = folder / "store"
    store.mkdir(parents=True)
    disk, tally, promised = Disk(str(store), Random(1)), Tally(), Counter[str]()
    for life in ("killed", "stopped"):
        trace = folder / f"{life}.trace"
        altered = {"GATEWAY_TEST_SYNCHRONOUS": synchronous, "GATEWAY_TEST_CHECKPOINT_LOG_PAGES": CHECKPOINT_PAGES}
        with Recorded(f"sqlite:///{store}/profiles.db", folder / "log", trace, altered, fault) as service:
            asyncio.run(_lived(service, life))
        asyncio.run(_replayed(trace, disk, promised, tally))
    tally.acknowledged, tally.failed_syncs = promised.total(), disk.failed_syncs
    return tally


async def _lived(service: Recorded, life: str) -> None:
    """Some load, after which every call has been answered, and the end."""
    await asyncio.to_thread(service.start)
    async with clients(service.url, life) as books:
        while sum(book.acknowledged for book in books) < ACKNOWLEDGED:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(service.kill if life == "killed" else service.stop)


async def _replayed(trace: Path, disk: Disk, promised: Counter[str], tally: Tally) -> None:
    """Moves the disk on, and examines it where the most was promised of what it holds, and where the most waits."""
    is_due = False
    for event in events(trace):
        acknowledged = _acknowledged(event)
        if is_due and not acknowledged and _changes_files(event):
            await _examine(disk, promised, tally)
            is_due = False
        disk.move(event)
        promised.update(acknowledged)
        is_due = is_due or bool(acknowledged) or _is_sync(event)
    await _examine(disk, promised, tally)


def _acknowledged(event: Began | Ended) -> list[str]:
    """The ids of profiles that an answer names, at the moment it may leave."""
    if not isinstance(event, Began) or event.call not in ANSWERING:
        return []
    return [found[1].decode() for found in map(_ANSWER.search, strings(event.text)) if found]


def _is_sync(event: Began | Ended) -> bool:
    return isinstance(event, Began) and event.call in ("fdatasync", "fsync")


def _changes_files(event: Began | Ended) -> bool:
    call = event if isinstance(event, Began) else event.began
    return call.call not in (*ANSWERING, "openat")


async def _examine(disk: Disk, promised: Mapping[str, int], tally: Tally) -> None:
    for kind, files in disk.states():
        tally.states[kind] += 1
        tally.lost[kind] += not await _holds(files, promised)


async def _holds(files: Mapping[str, bytes], promised: Mapping[str, int]) -> bool:
    """Whether a store of these files has all that was promised: so many elements of each profile, each once."""
    folder = Path(tempfile.mkdtemp(dir=_memory()))
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        store = await open_store(f"sqlite:///{folder}/profiles.db")
        try:
            found = await store.find(1, [("id", id) for id in promised])
        finally:
            await store.close()
        have = {profile.id: appended([profile]) for profile in found}
        return all(_is_kept(have.get(id, ([], 0)), count) for id, count in promised.items())
    except Unavailable:
        return False
    finally:
        shutil.rmtree(folder)


def _is_kept(found: tuple[list[int], int], count: int) -> bool:
    seen, counter = found
    return len(seen) >= count and seen == list(range(len(seen))) and counter == len(seen)


def _memory() -> str | None:
    """A folder that needs no disk, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
