"""The gateway's system calls on files and responses, as strace records them, in their order.

The order is the kernel's: after a sync, a thread continues only when strace has recorded it.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from tests.durability.service import TIMEOUT_SECONDS, Service

CALLS = "openat,pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync,ftruncate,link,rename,unlink"
STRACE = ("strace", "--follow-forks", "--seccomp-bpf", "--decode-fds=path", "--strings-in-hex=all", "--quiet=all")
CONTROLLED = (sys.executable, "-m", "tests.durability.controlled", "serve", "--workers", "2")


class RecordedService(Service):
    """A gateway whose system calls are recorded in a file. `fault` is a fault for strace to inject, in its syntax."""

    def __init__(self, store: str, log: Path, trace: Path, altered: Mapping[str, str], fault: str = "") -> None:
        options = ["--string-limit=1000000", f"--trace={CALLS}", f"--output={trace}"]
        options += [f"--inject={fault}"] if fault else []
        super().__init__(store, log, (*STRACE, *options, *CONTROLLED), altered)

    def _end(self, how: signal.Signals) -> None:
        """End every process but strace, which ends when it has written everything."""
        for process in self.processes():
            if process != self._process.pid:
                os.kill(process, how)
        try:
            self._process.wait(TIMEOUT_SECONDS)
        except TimeoutExpired:
            super()._end(signal.SIGKILL)
            raise


@dataclass(frozen=True)
class CallStart:
    """A thread calls the kernel. `text` is the text between the brackets."""

    thread: int
    call: str
    text: str


@dataclass(frozen=True)
class CallEnd:
    """The kernel returns, with -1 where the call fails."""

    start: CallStart
    result: int


_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_ANSWER = re.compile(r"(.*)\) += (-?\d+)")


def events(trace: Path) -> Iterator[CallStart | CallEnd]:
    """Return the starts and ends of the calls. A call that a kill interrupts has no end."""
    open_calls: dict[int, CallStart] = {}
    with trace.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line)
            if not found:
                continue  # a signal, or the end of a thread
            thread, resumed, call, rest = int(found[1]), found[2], found[3], found[4]
            if not resumed:
                text = rest.removesuffix(" <unfinished ...>")
                open_calls[thread] = start = CallStart(thread, call, text)
                yield start
            if answer := _ANSWER.match(rest):
                yield CallEnd(open_calls.pop(thread), int(answer[2]))


def strings(text: str) -> list[bytes]:
    """Return the strings among the arguments of a call."""
    return [_bytes(each) for each in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', text)]


def path_of(text: str) -> str:
    """Return the path of the file descriptor that is the first argument of a call."""
    found = re.match(r"\d+<((?:\\x[0-9a-f]{2})+)>", text)
    return _bytes(found[1]).decode() if found else ""


def numbers(text: str) -> Sequence[int]:
    """Return the numbers at the end of a call's arguments."""
    return [int(each) for each in re.findall(r", (\d+)", text.rpartition('"')[2] or text)]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
