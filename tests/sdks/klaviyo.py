"""Klaviyo's official SDKs, and clients of others, against a real server: `python tests/sdks/klaviyo.py`.

Each generation is installed in its own environment under `.sdks/` and runs the program beside this file. The program
calls every profile method of the SDK and prints the names of those that passed. The exit status is 1 if one failed.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from environments import KEY, SDKS, in_node, in_python, ran, serving

COMPANY = "demo"
PYTHON = {"klaviyo_python25": "klaviyo-api>=25,<26", "klaviyo_python2": "klaviyo-api>=2,<3"}
CLIENTS = {
    "klaviyo_cli": ("klaviyo_cli_program.py", "klaviyo-cli>=0.11,<0.12"),
    "klaviyo_tap": ("klaviyo_tap_program.py", "tap-klaviyo>=1.1,<2"),
}
"""Clients that others wrote, in Python: the program of each, and its package."""

NODE = {"klaviyo_node23": "klaviyo-api@23", "klaviyo_node3": "klaviyo-api@3"}


def main() -> int:
    """Run every generation, one after the other. Those of Node.js need npm."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        environment = {**os.environ, "KLAVIYO_URL": url, "KLAVIYO_KEY": KEY, "KLAVIYO_COMPANY": COMPANY}
        results = [
            ran(name, in_python(SDKS / name, "klaviyo_python.py", package), environment)
            for name, package in PYTHON.items()
        ]
        results += [
            ran(program, in_python(SDKS / name, program, package), environment)
            for name, (program, package) in CLIENTS.items()
        ]
        if shutil.which("npm"):
            results += [
                ran(name, in_node(SDKS / name, "klaviyo_node.mjs", package), environment)
                for name, package in NODE.items()
            ]
        else:
            print("npm is not installed. Skipped:", *NODE)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
