"""Processes that begin a task of `tests.stores.child` at the same moment."""

import sys
from pathlib import Path
from subprocess import PIPE, Popen


def start_child(task: str, *arguments: object) -> Popen[str]:
    """Start a process that is ready for its task."""
    command = [sys.executable, "-m", "tests.stores.child", task, *map(str, arguments)]
    process = Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[2])
    expect_line(process, "ready")
    return process


def send_line(process: Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def expect_line(process: Popen[str], line: str) -> None:
    assert process.stdout
    assert process.stdout.readline() == f"{line}\n"


def results(*processes: Popen[str]) -> list[list[str]]:
    """Let processes begin at the same moment. Return the lines that each prints."""
    for process in processes:
        send_line(process)
    lines = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return lines
