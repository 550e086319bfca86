"""Where the time of an update goes: `make profile`. Samples the gateway under load, and prints what it was found at.

The profile is py-spy's, 500 samples a second of both threads: the one that serves, and the one that keeps changes,
whose wait for the disk counts too. `.bench/MEDIA.speedscope.json` holds it for viewers of flame graphs.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from threading import Thread
from typing import Any

from bench import bodies, servers
from bench.environment import HOME, ROOT, programs
from bench.load import Measured, measure, send
from bench.report import table
from bench.scale import Scale

MAX_ROWS = 40


def profiled(media: str, scale: Scale) -> tuple[Path, Measured]:
    """The profile of updates in a media type, as a file of speedscope's, and what they came to meanwhile."""
    file, numbers = HOME / f"{media}.speedscope.json", range(scale.profiles)
    with servers.sqlite() as store, servers.gateway(store) as gateway:
        send(gateway, bodies.imports(media, numbers))
        sampling = Thread(target=sample, args=(gateway.pid, file, scale.seconds))
        sampling.start()
        found = measure(gateway, bodies.updates(media, numbers), scale.seconds + 1)
        sampling.join()
    return file, found


def sample(pid: int, file: Path, seconds: float) -> None:
    """Samples a process for some seconds."""
    options = ["--format", "speedscope", "--duration", f"{seconds:.0f}", "--rate", "500", "--nonblocking"]
    command: list[Path | str] = [programs() / "py-spy", "record", *options, "--pid", str(pid), "--output", file]
    subprocess.run(command, check=True, capture_output=True)


def weights(file: Path) -> tuple[Counter[str], Counter[str]]:
    """How many seconds each function was found at work: itself, and with what it called."""
    said: dict[str, Any] = json.loads(file.read_text())
    names = [_named(frame) for frame in said["shared"]["frames"]]
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for thread in said["profiles"]:
        for stack, weight in zip(thread["samples"], thread["weights"], strict=True):
            own.update({names[frame]: weight for frame in stack[-1:]})
            total.update(dict.fromkeys({names[frame] for frame in stack}, weight))
    return own, total


def _named(frame: dict[str, Any]) -> str:
    """A function as people know it: its module's file without what leads there."""
    return f"{frame['file'].removeprefix(f'{ROOT}/').rpartition('site-packages/')[2]} {frame['name']}"


def main(media_types: list[str]) -> None:
    """Prints both profiles."""
    for media in media_types:
        file, found = profiled(media, Scale())
        own, total = weights(file)
        everything = own.total()
        print(f"\n# {media}: {found.rate:,.0f} requests a second, {found.cpu:.0f} µs of processor time each; {file}\n")
        for name, seconds in (("itself", own), ("with what it calls", total)):
            rows = ((f"{each / everything:.1%}", where) for where, each in seconds.most_common(MAX_ROWS))
            print(table((name, "function"), rows), end="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:] or ["json", "xml"])
