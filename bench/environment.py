"""The environments of the peers and of the profiler, under `.bench/`: the gateway's own does not have their libraries.

Each is made again where it is missing or its list of packages has changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".bench"
"""The files of the benchmark, on the disk of the checkout; git ignores it."""

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PYTHON = HOME / "environment"
FASTIFY = Path(__file__).with_name("fastify")
NODE = HOME / "fastify"


def programs() -> Path:
    """The folder of the programs of the Python environment."""
    made = PYTHON / REQUIREMENTS.name
    if not _is_same(made, REQUIREMENTS):
        subprocess.run([sys.executable, "-m", "venv", "--clear", PYTHON], check=True)
        free = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        subprocess.run([PYTHON / "bin" / "pip", "install", "-qq", "-r", REQUIREMENTS], env=free, check=True)
        shutil.copy(REQUIREMENTS, made)
    return PYTHON / "bin"


def has_npm() -> bool:
    """Whether Node packages can be installed."""
    return shutil.which("npm") is not None


def fastify_server() -> Path:
    """The program of the Fastify peer, with its packages beside it."""
    made, package = NODE / "node_modules" / "installed.json", FASTIFY / "package.json"
    shutil.copytree(FASTIFY, NODE, dirs_exist_ok=True)
    if not _is_same(made, package):
        install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(install, cwd=NODE, check=True)
        shutil.copy(package, made)
    return NODE / "server.js"


def _is_same(made: Path, wanted: Path) -> bool:
    return made.exists() and made.read_bytes() == wanted.read_bytes()
