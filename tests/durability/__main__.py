"""Run the named proofs, or all, one after the other. Exit with 1 where one fails."""

import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

PROOFS = ("kills", "power", "disks", "crashes", "orders", "feed")


def main(names: list[str]) -> bool:
    passes = [_run(name) for name in names or PROOFS]
    return all(passes)


def _run(name: str) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        outcome = import_module(f"tests.durability.{name}").run(Path(folder))
    print(f"{name}: {'passes' if outcome.passes else 'FAILS'}, {time.monotonic() - began:.0f} s")
    for figure, value in outcome.figures.items():
        print(f"  {figure}: {f'{value:,}' if isinstance(value, int) else value}", flush=True)
    return bool(outcome.passes)


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
