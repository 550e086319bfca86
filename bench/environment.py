"""The environment of the peer and of the profiler, `.bench/environment`: the gateway's own never holds their libraries.

It is made where it is missing or not of `requirements.txt`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".bench"
"""What measuring needs and leaves, on the disk of the checkout; git does not see it."""

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PLACE = HOME / "environment"


def programs() -> Path:
    """The folder of the environment's programs."""
    made = PLACE / REQUIREMENTS.name
    if not made.exists() or made.read_bytes() != REQUIREMENTS.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True)
        free = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        subprocess.run([PLACE / "bin" / "pip", "install", "-qq", "-r", REQUIREMENTS], env=free, check=True)
        shutil.copy(REQUIREMENTS, made)
    return PLACE / "bin"
