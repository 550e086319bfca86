"""Courier's official SDKs, every generation in use, unchanged, against a real server: `python tests/sdks/courier.py`.

Each is installed in an environment of its own under `.sdks/` and runs the program beside this file, which calls every
profile method that it has and prints the name of each one that did what it should. Exits with 1 where one did not.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SDKS = ROOT / ".sdks"
KEY = "sdk-test-key"
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
        results = [ran(name, in_python(name, package), environment) for name, package in PYTHON.items()]
        if shutil.which("npm"):
            results += [ran(name, in_node(name, package), environment) for name, package in NODE.items()]
        else:
            print("there is no npm: left out", *NODE)
    return 0 if all(results) else 1


def ran(name: str, command: list[str], environment: dict[str, str]) -> bool:
    """Whether a program ended well; says which methods passed."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    passed = done.stdout.split()
    print(
        f"{'ok' if done.returncode == 0 else 'FAILED'}  {name}  {len(passed)} methods: {' '.join(passed)}", flush=True
    )
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode == 0


def in_python(name: str, package: str) -> list[str]:
    """The command that runs a program with its SDK, which is installed where it is not yet."""
    home = SDKS / Path(name).stem
    if not (home / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        free = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
        subprocess.run([home / "bin" / "pip", "install", "-qq", package], env=free, check=True)
        (home / "made").touch()
    # -P: the SDK's own module is called courier too.
    return [str(home / "bin" / "python"), "-P", str(HERE / name)]


def in_node(name: str, package: str) -> list[str]:
    """The same for Node.js, which looks for an SDK beside the program: the program is copied to it."""
    home = SDKS / Path(name).stem
    if not (home / "made").exists():
        home.mkdir(parents=True, exist_ok=True)
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", "--prefix", home, *options, package], check=True)
        (home / "made").touch()
    shutil.copy(HERE / name, home / name)
    return ["node", str(home / name)]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server of its own on SQLite, as an operator starts it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"STORE": f"sqlite:///{folder}/sdks.db", "PORT": str(port), "BOOTSTRAP_TOKEN": KEY, "LOG_LEVEL": "error"}
    environment = {**os.environ, **{f"GATEWAY_{name}": value for name, value in settings.items()}}
    server = subprocess.Popen([Path(sys.executable).parent / "profile-gateway", "serve"], env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url: str) -> None:
    """Returns once the server answers. Raises `TimeoutError`."""
    for _ in range(200):
        try:
            urlopen(url, timeout=1).close()
        except (URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


if __name__ == "__main__":
    sys.exit(main())
