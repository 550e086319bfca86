"""Other processes for tests, which begin at the same moment: see `tests.stores.child` for what they do."""

import sys
from pathlib import Path
from subprocess import PIPE, Popen


def child(task: str, *arguments: object) -> Popen[str]:
    """Another process that is ready for its task."""
    command = [sys.executable, "-m", "tests.stores.child", task, *map(str, arguments)]
    process = Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[2])
    hear(process, "ready")
    return process


def tell(process: Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: Popen[str], line: str) -> None:
    assert process.stdout
    assert process.stdout.readline() == f"{line}\n"


def results(*processes: Popen[str]) -> list[list[str]]:
    """Lets processes begin at the same moment, and gives the lines that each says."""
    for process in processes:
        tell(process)
    lines = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return lines
