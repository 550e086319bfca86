"""The command `doctor`: what would stand in the way of serving, with advice."""

import ctypes
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit

import click
from msgspec import Struct
from msgspec.structs import asdict

from gateway.cli.options import JSON, setting
from gateway.cli.output import print_json
from gateway.cli.serve import RESERVED_FILES
from gateway.cli.store import run_on_store
from gateway.core.model import Query
from gateway.optional_dependencies import OTLP_EXPORTER, MissingExtra, require_extra
from gateway.server.dependencies import missing_internals
from gateway.server.public_address import parse_networks
from gateway.server.start_message import without_password
from gateway.service.geolocation import Geolocator
from gateway.service.pseudonyms import FILE_SUFFIX, KEY_BYTES
from gateway.service.reload_file import read_settings
from gateway.settings import Settings, variable
from gateway.stores.protocol import Store

OK, WARNING, PROBLEM = "ok", "warning", "problem"

LEAST_ROOM, ENOUGH_ROOM = 256 << 20, 2 << 30
"""Bytes of a disk below which there is a problem, and below which there is a warning."""

OWNER_ONLY = 0o600
SQLITE = "sqlite:///"

MAX_AHEAD_MS = 5_000
"""Milliseconds by which stored times may be ahead of the clock, as between machines."""

OLDEST_TIME = 1_735_689_600
"""2025-01-01: a clock before it was never set (seconds since 1970)."""


class Finding(Struct, frozen=True):
    """What a check found, and what to do about it. `level` is ok, warning or problem."""

    check: str
    level: str
    detail: str
    advice: str = ""


@click.command()
@setting("store")
@JSON
def doctor(store: str | None, as_json: bool) -> None:
    """Check settings, versions, store, permissions, disk, open files and clock, with the environment of `serve`.

    Run it as the user of the server. The exit status is 1 if there is a problem. Like every command it migrates a store
    of an older version; it alters nothing else.
    """
    findings = list(_examine(store))
    if as_json:
        print_json([asdict(each) for each in findings])
    else:
        for each in findings:
            click.echo(f"{each.level:<9}{each.check:<13}{each.detail}")
            if each.advice:
                click.echo(f"{'':22}{each.advice}")
    raise SystemExit(any(each.level == PROBLEM for each in findings))


def _examine(store: str | None) -> Iterator[Finding]:
    yield from check_versions()
    try:
        settings = read_settings(os.environ, store=store)
    except ValueError as error:
        yield Finding("settings", PROBLEM, str(error), "docs/settings.md lists every setting")
        return
    yield from check_settings(settings)
    yield from check_store(settings)
    yield from check_permissions(settings)
    yield from check_disk(settings)
    yield from check_open_files(settings.max_connections, getrlimit(RLIMIT_NOFILE))
    yield from check_clock(time.time())


def check_versions() -> Iterator[Finding]:
    """Check the libraries whose internals the gateway uses."""
    missing = missing_internals()
    advice = "install the versions of constraints.txt"
    yield from (Finding("versions", PROBLEM, each, advice) for each in missing)
    if not missing:
        yield Finding("versions", OK, f"profile-gateway {version('profile-gateway')}, Python {python_version()}")


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Check the settings that name files, addresses and extras."""
    uses: dict[str, Callable[[], object]] = {
        "geoip": lambda: Geolocator(settings.geoip),
        "trusted_proxies": lambda: parse_networks(settings.trusted_proxies),
    }
    if settings.tracing:
        uses["tracing"] = lambda: require_extra(OTLP_EXPORTER, "tracing")
    if settings.metrics_token:
        uses["metrics_token"] = lambda: require_extra("prometheus_client", "metrics")
    if settings.keep_refused_days:
        uses["keep_refused_days"] = lambda: _require_key(settings)
    if settings.bootstrap_fields:
        uses["bootstrap_fields"] = Path(settings.bootstrap_fields).read_bytes
    problems = [found for field, use in uses.items() if (found := _problem_of(field, use))]
    yield from problems
    if not problems:
        named = sorted(name for name in os.environ if name.startswith(variable("")))
        yield Finding("settings", OK, ", ".join(named) if named else "all by default")


def _require_key(settings: Settings) -> None:
    """Raise `ValueError` where the hashes of refused requests have no key."""
    if settings.secret_file is None and store_file(settings) is None:
        raise ValueError(f"{variable('secret_file')} is not set, and the store is no file")


def _problem_of(field: str, use: Callable[[], object]) -> Finding | None:
    try:
        use()
    except MissingExtra as error:
        return Finding("settings", PROBLEM, f"{variable(field)} needs an extra", str(error))
    except (OSError, ValueError) as error:
        return Finding("settings", PROBLEM, f"{variable(field)}: {error}", "correct it, or unset it")
    return None


def check_store(settings: Settings) -> Iterator[Finding]:
    """Open the store, and check that it can be written to and has a token."""
    try:
        detail, tokens, ahead = run_on_store(settings, _describe)
    except click.ClickException as error:
        yield Finding("store", PROBLEM, error.message, "see GATEWAY_STORE; the first `serve` creates a SQLite file")
        return
    yield Finding("store", OK, f"{without_password(settings.store)}: {detail}")
    if not tokens:
        yield Finding("store", WARNING, "it has no token", "profile-gateway token create --database 1")
    if ahead > MAX_AHEAD_MS:
        seconds = ahead // 1000
        yield Finding(
            "clock", PROBLEM, f"the newest profile is {seconds} s in the future", "synchronize the clock (NTP)"
        )


async def _describe(store: Store) -> tuple[str, int, int]:
    """Return the size of a ready store, its valid tokens, and by how much (ms) its newest profile is in the future."""
    await store.ready()
    databases = await store.databases()
    tokens = [token for token in await store.tokens() if not token.revoked]
    newest = 0
    for database in databases:
        page = await store.page(database.id, Query(1, "updated", descending=True))
        newest = max([newest, *(profile.updated for profile in page)])
    detail = f"{len(databases)} databases, {len(tokens)} valid tokens"
    return detail, len(tokens), newest - time.time_ns() // 1_000_000


def check_permissions(settings: Settings) -> Iterator[Finding]:
    """Check who can read the store and the key of hashed addresses."""
    file = store_file(settings)
    secret = Path(settings.secret_file) if settings.secret_file else file and Path(f"{file}{FILE_SUFFIX}")
    findings = [found for path in (file, secret) if path and (found := _rights_of(path))]
    if secret is None:
        advice = "name a file; a privacy deletion keeps opt-outs under their addresses without it"
        findings.append(Finding("permissions", WARNING, "GATEWAY_SECRET_FILE is not set", advice))
    elif secret.exists() and os.access(secret, os.R_OK) and len(secret.read_bytes().strip()) != 2 * KEY_BYTES:
        findings.append(Finding("permissions", PROBLEM, f"{secret} has no key", "restore it from the backup"))
    yield from findings
    checked = [str(path) for path in (file, secret) if path and path.exists()]
    if checked and not findings:
        yield Finding("permissions", OK, ", ".join(checked))


def _rights_of(path: Path) -> Finding | None:
    if not path.exists():
        return None
    found = path.stat()
    if found.st_mode & 0o777 & ~OWNER_ONLY:
        return Finding("permissions", PROBLEM, f"others can open {path}", f"chmod 600 {path}")
    if not os.access(path, os.R_OK | os.W_OK) or found.st_uid != os.geteuid():
        advice = "run the commands as the user of the server, or give it the file"
        return Finding("permissions", WARNING, f"{path} belongs to the user {found.st_uid}", advice)
    return None


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Check the room on the disk of a SQLite file."""
    file = store_file(settings)
    if file is None or not file.parent.exists():
        return
    free = shutil.disk_usage(file.parent).free
    size = file.stat().st_size if file.exists() else 0
    yield _room(file.parent, free, size)


def _room(folder: Path, free: int, size: int) -> Finding:
    detail = f"{free >> 20:,} MiB free in {folder}, the store has {size >> 20:,}"
    if free < LEAST_ROOM:
        return Finding("disk", PROBLEM, detail, "make room: on a full disk, changes are refused with 503")
    if free < max(ENOUGH_ROOM, size):
        return Finding("disk", WARNING, detail, "a backup or a long dump needs as much room as the store")
    return Finding("disk", OK, detail)


def check_open_files(connections: int, limits: tuple[int, int]) -> Iterator[Finding]:
    """Check whether the system permits the connections of the settings. `limits`: soft and hard."""
    hard = limits[1]
    if hard == RLIM_INFINITY or hard >= connections + RESERVED_FILES:
        yield Finding("open files", OK, f"{connections} connections of a process are permitted")
        return
    fitting = max(1, hard - RESERVED_FILES)
    advice = f"LimitNOFILE={connections + RESERVED_FILES} in the systemd unit, or ulimit -n"
    yield Finding("open files", WARNING, f"the system permits {fitting} connections, not {connections}", advice)


def check_clock(now: float) -> Iterator[Finding]:
    """Check that the clock was set, and on Linux that it is synchronized. `now`: seconds since 1970."""
    if now < OLDEST_TIME:
        yield Finding("clock", PROBLEM, time.strftime("it is %Y-%m-%d", time.gmtime(now)), "set it, and start NTP")
    elif sys.platform == "linux" and is_synchronized() is False:
        yield Finding("clock", WARNING, "the kernel says that it is not synchronized", "start NTP, such as chrony")
    else:
        yield Finding("clock", OK, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))


def is_synchronized() -> bool | None:
    """Return whether the kernel's clock is synchronized (adjtimex(2)); None where that is unknown."""

    class Timex(ctypes.Structure):
        _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_char * 256))

    unsynchronized = 5
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(Timex()))
    except (AttributeError, OSError):
        return None
    return None if state < 0 else bool(state != unsynchronized)


def store_file(settings: Settings) -> Path | None:
    """Return the file of a SQLite store; None for another engine."""
    return Path(settings.store.removeprefix(SQLITE)) if settings.store.startswith(SQLITE) else None
