"""Courier's official SDKs, every generation in use, unchanged, against a real server: `python tests/sdks/courier.py`.

Each is installed in an environment of its own under `.sdks/` and runs the program beside this file, which calls every
profile method that it has and prints the name of each one that did what it should. Exits with 1 where one did not.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from environments import KEY, SDKS, in_node, in_python, ran, serving

PYTHON = {
    "courier_py9.py": "trycourier>=9,<10",
    "courier_py6.py": "trycourier>=6,<7",
    "courier_py4.py": "trycourier>=4,<5",
}
NODE = {
    "courier_node7.mjs": "@trycourier/courier@7",
    "courier_node6.mjs": "@trycourier/courier@6",
    "courier_node5.mjs": "@trycourier/courier@5",
}


def main() -> int:
    """Every program, one after the other; those of Node.js where there is npm."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        environment = {**os.environ, "COURIER_URL": url, "COURIER_KEY": KEY}
        results = [ran(name, in_python(home(name), name, package), environment) for name, package in PYTHON.items()]
        if shutil.which("npm"):
            results += [ran(name, in_node(home(name), name, package), environment) for name, package in NODE.items()]
        else:
            print("there is no npm: left out", *NODE)
    return 0 if all(results) else 1


def home(program: str) -> Path:
    return SDKS / Path(program).stem


if __name__ == "__main__":
    sys.exit(main())
