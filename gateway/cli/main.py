"""The command line: serve, and keep the registry of databases, tokens, resources and segments.

It talks to a store through its protocol alone, so every command works on every engine and while the server runs.
What a person can put right is one line on stderr: exit status 2 for what was typed or set, 1 for what the store said.
"""

import asyncio
import itertools
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from tempfile import mkdtemp
from typing import Any, BinaryIO, TypeVar

import click
import msgspec
import orjson
import uvicorn

from gateway.cli.check import check as check_cases
from gateway.cli.proxies import record, shadow
from gateway.core.model import RIGHTS, Database, Resource, Segment, Token
from gateway.dialects import load_dialects
from gateway.openapi import files
from gateway.schema.field_declarations import declaration_problems, inline_references
from gateway.server import workers
from gateway.server.connection_limits import ConnectionLimits
from gateway.server.dependencies import missing_internals
from gateway.server.http1 import Http1Connections
from gateway.server.logs import configure_logs, log_config
from gateway.server.start_message import address, start_message
from gateway.service.bootstrap import bootstrap, new_secret, token
from gateway.service.geolocation import Geolocator
from gateway.settings import Settings, table, variable
from gateway.stores import open_store
from gateway.stores.errors import Duplicate, Missing, Unavailable
from gateway.stores.protocol import Store
from gateway.transfer import (
    DumpComplete,
    DumpPosition,
    ExistingProfiles,
    InvalidLine,
    Loader,
    RowConflict,
    dump_lines,
    find_position,
)

log = logging.getLogger("gateway")

OWN_FILES = 128
"""Files that a process has open besides its clients' connections, at most: the store's, the libraries', the log."""

T = TypeVar("T")
Command = Callable[..., None]

BUFFER = 1 << 20
"""Bytes of a dump that are read and written at once."""


def setting(field: str) -> Callable[[Command], Command]:
    """A flag that wins over its environment variable; type, bounds and default are those of the setting."""
    name = variable(field)
    default, description = next((default, text) for row, default, text in table() if row == name)
    return click.option(f"--{field}", help=f"{description}  [env: {name}; default: {default}]")


class Misset(click.ClickException):
    """Something in the settings that a person must put right."""

    exit_code = 2


def effective(**flags: str | None) -> Settings:
    try:
        return Settings.from_environment(os.environ, **flags)
    except ValueError as reason:
        raise Misset(str(reason)) from None


def on_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Does some work on the store, and says in one line why it could not."""
    try:
        return asyncio.run(_on_store(settings.store, work))
    except Unavailable as reason:
        raise click.ClickException(str(reason)) from None


def keep(store: str | None, work: Callable[[Store], Awaitable[None]], taken: str = "", absent: str = "") -> None:
    """Writes to the registry. An engine tells which kind of refusal it is; the words are the command's."""
    try:
        on_store(effective(store=store), work)
    except Duplicate:
        raise click.ClickException(taken) from None
    except Missing:
        raise click.ClickException(absent) from None


async def _on_store(url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    try:
        store = await open_store(url)
    except ValueError as reason:
        raise Misset(str(reason)) from None
    try:
        return await work(store)
    finally:
        await store.close()


def now() -> int:
    return time.time_ns() // 1_000_000


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="profile-gateway")
def main() -> None:
    """One door for the profile updates of Altcraft, Courier and Klaviyo, in XML and in JSON.

    Every flag below that names an environment variable may be set there instead; the flag wins.
    """


# --- serve ---


@main.command()
@setting("host")
@setting("port")
@setting("store")
@setting("workers")
def serve(**flags: str | None) -> None:
    """Serve until SIGTERM or SIGINT. Requests in flight are answered first.

    An empty store gets database 1, and a token: GATEWAY_BOOTSTRAP_TOKEN, or else a random one that is printed once, on
    a terminal only.
    """
    settings = effective(**flags)
    check(settings)
    port = port_to_listen_on(settings.host, settings.port)
    configure_logs(settings.log_level)
    is_terminal = sys.stderr.isatty()
    secret = on_store(settings, lambda store: bootstrap(store, settings, now(), creates_token=is_terminal))
    url, has_given_token = address(settings.host, port), settings.bootstrap_token is not None
    click.echo(start_message(version("profile-gateway"), settings.store, url, secret, has_given_token), err=True)
    if settings.geoip is None:
        log.warning("GATEWAY_GEOIP is not set: detect_geo fills nothing")
    # The workers are processes of their own, and read their settings from the environment like this one.
    os.environ.update({variable(field): text for field, text in flags.items() if text is not None})
    if settings.workers > 1 and settings.metrics_token:
        # Made before the workers: theirs to count in together, and empty at each start.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", mkdtemp(prefix="gateway-metrics-"))
    config = uvicorn.Config(
        "gateway.server.app:from_environment",
        factory=True,
        host=settings.host,
        port=port,
        workers=settings.workers,
        loop="uvloop",
        http=Http1Connections(limits(settings)),  # type: ignore[arg-type]  # called like the class that it makes
        lifespan="on",
        access_log=False,
        proxy_headers=False,  # nobody here asks for the client's address
        server_header=False,
        log_config=log_config(settings.log_level),
        log_level=settings.log_level,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    workers.serve(config)


def check(settings: Settings) -> None:
    """Says in one line what the workers could only fail on, each for itself."""
    if missing := missing_internals():
        raise click.ClickException("; ".join(missing))
    if settings.store.startswith("memory:"):
        raise Misset("a store in memory is for tests: the server would not see the database and token made here")
    try:
        Geolocator(settings.geoip)
    except (OSError, ValueError, RuntimeError) as reason:  # the library's InvalidDatabaseError is a RuntimeError
        raise Misset(f"{variable('geoip')}: {reason}") from None


def limits(settings: Settings) -> ConnectionLimits:
    """What one client may take up on the wire."""
    return ConnectionLimits(
        room_for(settings.max_connections),
        settings.header_seconds,
        settings.max_header_bytes,
        settings.max_headers,
        settings.body_seconds,
        settings.min_body_rate,
        settings.max_pipelined,
    )


def room_for(connections: int) -> int:
    """As many connections as a process may hold: its limit of open files is raised as far as the system lets it."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    wanted = connections + OWN_FILES
    files = wanted if hard == RLIM_INFINITY else min(wanted, hard)
    if soft != RLIM_INFINITY and soft < files:
        setrlimit(RLIMIT_NOFILE, (files, hard))
    return max(1, files - OWN_FILES)


def port_to_listen_on(host: str, port: int) -> int:
    """The port, chosen where it is 0; refused where it is taken, before a token is made that nobody could use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as probe:
            free: int = probe.getsockname()[1]
            return free
    except OSError as reason:
        raise click.ClickException(f"cannot listen on {host}, port {port}: {reason.strerror}") from None


# --- options that commands share ---


def fields_in(_: click.Context, __: click.Parameter, file: Path | None) -> dict[str, Any]:
    """The JSON Schema in FILE. All that is wrong with it is said here, before anything is written."""
    if file is None:
        return {}
    try:
        fields: dict[str, Any] = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as reason:
        raise click.BadParameter(f"{file} is not JSON: {reason}") from None
    if problems := list(declaration_problems(fields)):
        raise click.BadParameter("\n".join(f"{file}: {problem}" for problem in problems))
    try:
        return {key: inline_references(part, fields) for key, part in fields.items() if key != "$defs"}
    except ValueError as reason:
        raise click.BadParameter(f"{file}: {reason}") from None


FIELDS = click.option(
    "--fields",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    callback=fields_in,
    metavar="FILE",
    help='JSON Schema of its own fields; "x-identifier": true marks one that can name a profile',
)
POSITIVE = click.IntRange(1, 2**53 - 1)  # what every reader of JSON keeps as it is
DATABASE = click.option("--database", type=POSITIVE, required=True, help="id of the database")
ID = click.option("--id", type=POSITIVE, required=True, help="its id in the API")
NAME = click.option("--name", required=True, help="what people call it")
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")


# --- the registry ---


@main.group()
def database() -> None:
    """Make and show databases: the namespaces of profiles."""


@database.command("create")
@setting("store")
@ID
@NAME
@click.option("--closed", is_flag=True, help="refuse fields, resources, categories and segments it does not declare")
@FIELDS
@click.option("--company-id", help="public id, for calls that carry no secret")
def create_database(
    store: str | None, id: int, name: str, closed: bool, fields: dict[str, Any], company_id: str | None
) -> None:
    """Make a database."""
    made = Database(id, name, closed, fields, company_id)
    keep(store, lambda store: store.add_database(made), f"the id {id} or the company id is another database's")
    click.echo(f"database {id} is there")


@database.command("list")
@setting("store")
@JSON
def list_databases(store: str | None, as_json: bool) -> None:
    """List the databases."""
    found = on_store(effective(store=store), lambda store: store.databases())
    show([summary(database) for database in found], as_json)


@database.command("show")
@setting("store")
@JSON
@click.argument("id", type=POSITIVE)
def show_database(store: str | None, id: int, as_json: bool) -> None:
    """Show the database ID: its fields, resources and segments."""
    found = on_store(effective(store=store), lambda store: store.databases())
    database = next((database for database in found if database.id == id), None)
    if database is None:
        raise click.ClickException(f"there is no database {id}")
    if as_json:
        click.echo(pretty(database))
    else:
        show_parts(database)


@main.group("token")
def tokens() -> None:
    """Make, list and revoke tokens: what clients present."""


@tokens.command("create")
@setting("store")
@DATABASE
@click.option(
    "--right", "rights", multiple=True, type=click.Choice(RIGHTS), help="may be given again; all where none is named"
)
def create_token(store: str | None, database: int, rights: Sequence[str]) -> None:
    """Make a token. It is the last line printed, and cannot be shown again: only its hash is kept."""
    secret = new_secret()
    made = token(secret, database, rights or RIGHTS, now())
    keep(store, lambda store: store.add_token(made), absent=f"there is no database {database}")
    click.echo(f"token {made.id} may {', '.join(ordered(made.rights))} in database {database}:\n{secret}")


@tokens.command("list")
@setting("store")
@JSON
def list_tokens(store: str | None, as_json: bool) -> None:
    """List the tokens, revoked ones too."""
    found = on_store(effective(store=store), lambda store: store.tokens())
    show([token_row(token) for token in found], as_json)


@tokens.command("revoke")
@setting("store")
@click.argument("id")
def revoke_token(store: str | None, id: str) -> None:
    """Revoke the token ID, as `token list` shows it. Its record is kept."""
    keep(store, lambda store: store.revoke_token(id), absent=f"there is no token {id}")
    click.echo(f"token {id} is revoked")


@main.group()
def resource() -> None:
    """Make resources: the channel sources that profiles subscribe to."""


@resource.command("create")
@setting("store")
@DATABASE
@ID
@NAME
@click.option("--category", "categories", multiple=True, help="a category of subscriptions; may be given again")
@FIELDS
def create_resource(
    store: str | None, database: int, id: int, name: str, categories: tuple[str, ...], fields: dict[str, Any]
) -> None:
    """Make a resource. FILE declares its subscriptions' own fields."""
    made = Resource(id, name, categories, fields)
    taken, absent = f"database {database} has a resource {id} already", f"there is no database {database}"
    keep(store, lambda store: store.add_resource(database, made), taken, absent)
    click.echo(f"resource {id} is there, in database {database}")


@main.group()
def segment() -> None:
    """Make static segments: lists of profiles that are kept by hand."""


@segment.command("create")
@setting("store")
@DATABASE
@ID
@NAME
def create_segment(store: str | None, database: int, id: int, name: str) -> None:
    """Make a static segment."""
    taken, absent = f"database {database} has a segment {id} already", f"there is no database {database}"
    keep(store, lambda store: store.add_segment(database, Segment(id, name)), taken, absent)
    click.echo(f"segment {id} is there, in database {database}")


# --- moving ---

FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))


@main.command()
@setting("store")
@click.option("--resume", is_flag=True, help="go on with a dump that was interrupted")
@FILE
def dump(store: str | None, resume: bool, file: Path) -> None:
    """Write all that the store holds to FILE, a line each; to stdout where FILE is a dash.

    The server may run meanwhile: the dump is of the moment at which it began. FILE holds people's data and can be read
    by its owner alone.
    """
    with in_one_line(file):
        on_store(effective(store=store), lambda store: _dump(store, file, resume))


async def _dump(store: Store, file: Path, resume: bool) -> None:
    async with store.snapshot() as snapshot:
        with written(file, resume) as output:
            position = find_position(output) if resume else DumpPosition()
            with progress("dumping, lines", await snapshot.size()) as advance:
                advance(position.lines)
                async for line in dump_lines(store, snapshot, position):
                    output.write(line)
                    advance(1)


@contextmanager
def written(file: Path, resume: bool) -> Iterator[BinaryIO]:
    """What a dump is written to, durable at the end. A file that is there is never written over."""
    if str(file) == "-":
        if resume:
            raise click.UsageError("what went to stdout cannot be gone on with")
        yield sys.stdout.buffer
        return
    if file.exists() and not resume:
        raise click.UsageError(f"{file} is there already: --resume goes on with it")
    with open(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=BUFFER) as output:
        yield output
        output.flush()
        os.fsync(output.fileno())


@main.command()
@setting("store")
@click.option(
    "--existing",
    type=click.Choice(ExistingProfiles, case_sensitive=False),
    default=ExistingProfiles.REFUSE,
    show_default=True,
    help="what to do with a profile that is there already and differs",
)
@FILE
def load(store: str | None, existing: ExistingProfiles, file: Path) -> None:
    """Put what a dump holds into the store, from FILE; from stdin where FILE is a dash.

    What is there already is passed over: after an interruption, load the same again.
    """
    with in_one_line(file):
        loading = on_store(effective(store=store), lambda store: _load(store, existing, file))
    click.echo(f"{loading.lines} lines, {loading.new} of them new")


async def _load(store: Store, existing: ExistingProfiles, file: Path) -> Loader:
    loading = Loader(store, existing)
    with (
        nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb", BUFFER) as lines,
        progress("loading, bytes", os.fstat(lines.fileno()).st_size) as advance,
    ):
        await loading.load(lines, advance)
    return loading


@contextmanager
def in_one_line(file: Path) -> Iterator[None]:
    """Says what is wrong with a file."""
    try:
        yield
    except DumpComplete:
        click.echo(f"{file} is whole already", err=True)
    except InvalidLine as reason:
        raise Misset(f"{file}, {reason}") from None
    except RowConflict as reason:
        raise click.ClickException(f"{file}, {reason}") from None
    except OSError as reason:
        raise click.ClickException(f"{file}: {reason.strerror}") from None


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], object]]:
    """A bar on stderr where a person watches it, which tells no share where the length is not known and 0."""
    hidden = not sys.stderr.isatty()
    endless = None if length else itertools.repeat(None)
    with click.progressbar(
        endless, length=length or None, label=label, show_pos=True, file=sys.stderr, hidden=hidden
    ) as bar:
        yield bar.update


# --- contracts ---


@main.command("contracts")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, writable=True, path_type=Path))
def write_contracts(folder: Path) -> None:
    """Write OpenAPI, XML Schemas and JSON Schemas into DIR, as the gateway serves them.

    The settings count: GATEWAY_ALTCRAFT_ALWAYS_200 changes what Altcraft's calls are answered with.
    """
    found = files.contracts(load_dialects(msgspec.structs.asdict(effective())))
    try:
        for path, body in found.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
    except OSError as reason:
        raise click.ClickException(f"{reason.filename}: {reason.strerror}") from None
    click.echo(f"{len(found)} files are in {folder}")


# --- contract tests ---

for command in (check_cases, record, shadow):
    main.add_command(command)


# --- what is shown ---

Row = dict[str, Any]


def summary(database: Database) -> Row:
    return {
        "id": database.id,
        "name": database.name,
        "closed": database.closed,
        "company_id": database.company_id,
        "fields": list(database.fields.get("properties", {})),
        "resources": list(database.resources),
        "segments": list(database.segments),
    }


def token_row(token: Token) -> Row:
    return {
        "id": token.id,
        "database": token.database,
        "rights": ordered(token.rights),
        "created": datetime.fromtimestamp(token.created / 1000, UTC).isoformat(" ", "seconds"),
        "revoked": token.revoked,
    }


def ordered(rights: Iterable[str]) -> list[str]:
    return sorted(rights, key=RIGHTS.index)


def show_parts(database: Database) -> None:
    show([summary(database)])
    properties = database.fields.get("properties", {})
    show([{"field": name, "schema": orjson.dumps(schema).decode()} for name, schema in properties.items()])
    show([{"resource": it.id, "name": it.name, "categories": it.categories} for it in database.resources.values()])
    show([{"segment": it.id, "name": it.name} for it in database.segments.values()])


def show(rows: list[Row], as_json: bool = False) -> None:
    """A table for people, or the same rows for programs."""
    if as_json:
        click.echo(pretty(rows))
    elif rows:
        lines = [list(rows[0]), *([cell(value) for value in row.values()] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            click.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


if __name__ == "__main__":
    main()
