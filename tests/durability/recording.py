"""The gateway's system calls on its files and its answers, as strace tells them, in the order in which they happened.

The order is the kernel's: a thread that is told of a sync goes on only when strace has written that down.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from tests.durability.service import PATIENCE, Service

CALLS = "openat,pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync,ftruncate,rename,unlink"
STRACE = ("strace", "--follow-forks", "--seccomp-bpf", "--decode-fds=path", "--strings-in-hex=all", "--quiet=all")
CONTROLLED = (sys.executable, "-m", "tests.durability.controlled", "serve", "--workers", "2")


class Recorded(Service):
    """A gateway whose system calls are written to a file. `fault` is one that strace is to inject, in its words."""

    def __init__(self, store: str, log: Path, trace: Path, altered: Mapping[str, str], fault: str = "") -> None:
        options = ["--string-limit=100000", f"--trace={CALLS}", f"--output={trace}"]
        options += [f"--inject={fault}"] if fault else []
        super().__init__(store, log, (*STRACE, *options, *CONTROLLED), altered)

    def _end(self, how: signal.Signals) -> None:
        """Ends all but strace, which ends by itself when it has written everything."""
        for process in self.processes():
            if process != self._process.pid:
                os.kill(process, how)
        try:
            self._process.wait(PATIENCE)
        except TimeoutExpired:
            super()._end(signal.SIGKILL)
            raise


@dataclass(frozen=True)
class Began:
    """A thread asks the kernel for something. `text` is what stands between the brackets."""

    thread: int
    call: str
    text: str


@dataclass(frozen=True)
class Ended:
    """The kernel has answered, with -1 where it refused."""

    began: Began
    answer: int


_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_ANSWER = re.compile(r"(.*)\) += (-?\d+)")


def events(trace: Path) -> Iterator[Began | Ended]:
    """What happened, step by step. A call that a kill cut off has no end."""
    open_calls: dict[int, Began] = {}
    with trace.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line)
            if not found:
                continue  # a signal, or the end of a thread
            thread, resumed, call, rest = int(found[1]), found[2], found[3], found[4]
            if not resumed:
                text = rest.removesuffix(" <unfinished ...>")
                open_calls[thread] = began = Began(thread, call, text)
                yield began
            if answer := _ANSWER.match(rest):
                yield Ended(open_calls.pop(thread), int(answer[2]))


def strings(text: str) -> list[bytes]:
    """The strings among the arguments of a call."""
    return [_bytes(each) for each in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', text)]


def path_of(text: str) -> str:
    """The path of the file descriptor that is a call's first argument."""
    found = re.match(r"\d+<((?:\\x[0-9a-f]{2})+)>", text)
    return _bytes(found[1]).decode() if found else ""


def numbers(text: str) -> Sequence[int]:
    """The numbers at the end of a call's arguments."""
    return [int(each) for each in re.findall(r", (\d+)", text.rpartition('"')[2] or text)]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
