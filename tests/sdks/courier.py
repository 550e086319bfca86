"""Every generation in use of Courier's official SDKs, and its library for browsers, unchanged, against a real server.

Run it by `python tests/sdks/courier.py`.

Each SDK is installed in its own environment under `.sdks/` and runs the program beside this file. The program calls
every profile method of the SDK and prints the names of those that passed. The exit status is 1 if one failed.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from environments import KEY, SDKS, in_node, in_python, ran, serving, user_token

PYTHON = {
    "courier_py9.py": "trycourier>=9,<10",
    "courier_py6.py": "trycourier>=6,<7",
    "courier_py4.py": "trycourier>=4,<5",
}
NODE = {
    "courier_node7.mjs": "@trycourier/courier@7",
    "courier_node6.mjs": "@trycourier/courier@6",
    "courier_node5.mjs": "@trycourier/courier@5",
    "courier_browser.mjs": "@trycourier/courier-js@3",
}
USER = "browser-7"
"""The user of the library for browsers."""


def main() -> int:
    """Run every program, one after the other. Those of Node.js need npm."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        own = {"COURIER_USER": USER, "COURIER_USER_TOKEN": user_token(Path(folder), USER)}
        environment = {**os.environ, "COURIER_URL": url, "COURIER_KEY": KEY, **own}
        results = [
            ran(name, in_python(environment_folder(name), name, package), environment)
            for name, package in PYTHON.items()
        ]
        if shutil.which("npm"):
            results += [
                ran(name, in_node(environment_folder(name), name, package), environment)
                for name, package in NODE.items()
            ]
        else:
            print("npm is not installed. Skipped:", *NODE)
    return 0 if all(results) else 1


def environment_folder(program: str) -> Path:
    return SDKS / Path(program).stem


if __name__ == "__main__":
    sys.exit(main())
