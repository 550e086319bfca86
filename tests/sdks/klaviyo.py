"""Klaviyo's official SDKs, unchanged, against a real server: `python tests/sdks/klaviyo.py`.

Each generation is installed in an environment of its own under `.sdks/` and runs the program for its language beside
this file. Exits with 1 where a method did not do what it should, or where one that an SDK has was left out.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from environments import KEY, SDKS, in_node, in_python, ran, serving

COMPANY = "demo"
PYTHON = {"klaviyo_python25": "klaviyo-api>=25,<26", "klaviyo_python2": "klaviyo-api>=2,<3"}
NODE = {"klaviyo_node23": "klaviyo-api@23", "klaviyo_node3": "klaviyo-api@3"}


def main() -> int:
    """Every generation, one after the other; those of Node.js where there is npm."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        environment = {**os.environ, "KLAVIYO_URL": url, "KLAVIYO_KEY": KEY, "KLAVIYO_COMPANY": COMPANY}
        results = [
            ran(name, in_python(SDKS / name, "klaviyo_python.py", package), environment)
            for name, package in PYTHON.items()
        ]
        if shutil.which("npm"):
            results += [
                ran(name, in_node(SDKS / name, "klaviyo_node.mjs", package), environment)
                for name, package in NODE.items()
            ]
        else:
            print("there is no npm: left out", *NODE)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
