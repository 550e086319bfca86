"""Runs the proofs that are named, or all, one after the other; fails where one does not hold."""

import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

PROOFS = ("kills", "power", "disks", "crashes", "orders")


def main(names: list[str]) -> bool:
    held = [_runs(name) for name in names or PROOFS]
    return all(held)


def _runs(name: str) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        outcome = import_module(f"tests.durability.{name}").run(Path(folder))
    print(f"{name}: {'holds' if outcome.holds else 'FAILS'}, {time.monotonic() - began:.0f} s")
    for figure, value in outcome.figures.items():
        print(f"  {figure}: {f'{value:,}' if isinstance(value, int) else value}", flush=True)
    return bool(outcome.holds)


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
