"""What the programs for the vendors' SDKs share: environments under `.sdks/`, and a server. Asserts nothing."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
SDKS = HERE.parents[1] / ".sdks"
KEY = "sdk-test-key"
COMMANDS = Path(sys.executable).parent


def ran(name: str, command: list[str], environment: dict[str, str]) -> bool:
    """Whether a program ended well; says which methods passed."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    passed = done.stdout.split()
    print(
        f"{'ok' if done.returncode == 0 else 'FAILED'}  {name}  {len(passed)} methods: {' '.join(passed)}", flush=True
    )
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode == 0


def in_python(home: Path, program: str, package: str) -> list[str]:
    """The command that runs a program with its SDK, which is installed where it is not yet."""
    if not (home / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        free = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
        subprocess.run([home / "bin" / "pip", "install", "-qq", package], env=free, check=True)
        (home / "made").touch()
    # -P: an SDK's own module may be called like a program here.
    return [str(home / "bin" / "python"), "-P", str(HERE / program)]


def in_node(home: Path, program: str, package: str) -> list[str]:
    """The same for Node.js, which looks for an SDK beside the program: the program is copied to it."""
    if not (home / "made").exists():
        home.mkdir(parents=True, exist_ok=True)
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", "--prefix", home, *options, package], check=True)
        (home / "made").touch()
    shutil.copy(HERE / program, home / program)
    return ["node", str(home / program)]


@contextmanager
def serving(folder: Path, commands: Path = COMMANDS) -> Iterator[str]:
    """A server of its own on SQLite, as an operator starts it, by the command of this environment or of another."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"STORE": f"sqlite:///{folder}/sdks.db", "PORT": str(port), "BOOTSTRAP_TOKEN": KEY, "LOG_LEVEL": "error"}
    environment = {**os.environ, **{f"GATEWAY_{name}": value for name, value in settings.items()}}
    server = subprocess.Popen([commands / "profile-gateway", "serve"], env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def user_token(folder: Path, user: str, commands: Path = COMMANDS) -> str:
    """The secret of a token that is bound to a user, as an operator makes it for the server of `serving`."""
    command = ["token", "create", "--store", f"sqlite:///{folder}/sdks.db", "--database", "1", "--user", user]
    done = subprocess.run([commands / "profile-gateway", *command], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


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
