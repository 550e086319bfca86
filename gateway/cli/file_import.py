"""The command `import`: a file of profiles into a database."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson
from msgspec import Struct

from gateway.cli.file_options import (
    DELIMITER,
    DIALECT,
    FILE_DATABASE,
    dialect_schema,
    parse_pairs,
    select_database,
)
from gateway.cli.options import setting
from gateway.cli.progress import row_progress
from gateway.cli.store import InvalidSettings, load_settings, now, run_on_store
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database
from gateway.dialects.protocol import Dialect, FileRows
from gateway.media import Bounds
from gateway.service.changes import ChangeBuilder
from gateway.service.geolocation import Geolocator
from gateway.service.profile_ids import new_profile_id
from gateway.service.pseudonyms import open_pseudonyms
from gateway.settings import Settings
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store
from gateway.transfer.file_import import AlreadyImported, FileImport, group_limits
from gateway.transfer.formats import READERS, guess_format
from gateway.transfer.formats.csv import CsvReader
from gateway.transfer.formats.protocol import InvalidFile, ReaderOptions, RowReader
from gateway.transfer.import_log import ImportLog
from gateway.transfer.refused_file import RefusedFile, UnusableRefusedFile
from gateway.transfer.row_parser import InvalidParameters, RowParser
from gateway.transfer.sources import READ_ERRORS, file_digest, open_source

MAX_REPORTED = 20
"""Refusals that are printed."""

STDIN = "-"


class ImportOptions(Struct, frozen=True):
    """What the command line says, but for the settings."""

    file: Path
    database: int | None
    dialect: Dialect
    mode: str
    parameters: Mapping[str, str]
    format: str | None
    delimiter: str | None
    encoding: str | None
    map: Mapping[str, str]
    refused: Path | None
    skip: int
    dry_run: bool
    resume: bool


@click.command("import")
@setting("store")
@FILE_DATABASE
@DIALECT
@click.option(
    "--mode",
    type=click.Choice(["import", "update", "add"]),
    default="import",
    show_default=True,
    help="import: update or create; update: reject what does not exist; add: create without a search",
)
@click.option("--matching", metavar="MODE", help="how a row finds its profile, as in requests  [default: email]")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    callback=parse_pairs,
    metavar="NAME=VALUE",
    help="another parameter of the request, such as field_name=card or skip_triggers=true",
)
@click.option("--format", type=click.Choice(list(READERS)), help="format of FILE  [default: as it begins]")
@DELIMITER
@click.option("--encoding", help="character encoding of FILE  [default: as it says, else utf-8]")
@click.option(
    "--map", multiple=True, callback=parse_pairs, metavar="COLUMN=FIELD", help="field of a CSV column; none: left out"
)
@click.option(
    "--refused",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="write refused rows to this file, with the reason, in the format of the input",
)
@click.option("--skip", type=click.IntRange(0), default=0, metavar="ROWS", help="leave out the first rows")
@click.option("--dry-run", is_flag=True, help="print what would be refused, store nothing")
@click.option("--resume", is_flag=True, help="continue an import of the same file that was interrupted")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
def import_file(store: str | None, matching: str | None, **given: Any) -> None:
    """Import the profiles in FILE, or on stdin if FILE is a dash: NDJSON, a JSON array, CSV or XML, compressed or not.

    Each row is carried out like a request. A refused row has no effect, and the others are imported. The exit status is
    0, or 1 if a row was refused or the file could not be read to its end. The server may run meanwhile.
    """
    if matching:
        given["parameters"] = {**given["parameters"], "matching": matching}
    options = ImportOptions(**given)
    _validate(options)
    with _open_reader(options, settings := load_settings(store=store)) as (reader, file):
        run = partial(_import, options, settings, reader, file)
        job = run_on_store(settings, run)
    if job.refused or not job.is_complete:
        raise SystemExit(1)


def _validate(options: ImportOptions) -> None:
    if options.resume and not options.file.is_file():
        raise click.UsageError("an import from stdin or a pipe cannot be resumed")
    if options.resume and options.dry_run:
        raise click.UsageError("a dry run stores nothing that could be resumed")
    if options.refused and options.refused.exists() and not options.resume:
        raise click.UsageError(f"{options.refused} exists already")


@contextmanager
def _open_reader(options: ImportOptions, settings: Settings) -> Iterator[tuple[RowReader, BinaryIO]]:
    """Open the file, and read what it has before its rows. Raises `InvalidSettings`."""
    with sys.stdin.buffer if str(options.file) == STDIN else options.file.open("rb") as file:
        try:
            stream = open_source(file, options.encoding)
            format = options.format or guess_format(options.file.name, stream)
            reader = READERS[format](stream, ReaderOptions(settings.max_body, options.delimiter, options.map))
        except LookupError as error:
            raise InvalidSettings(str(error)) from None
        except (InvalidFile, *READ_ERRORS) as error:
            raise InvalidSettings(f"{options.file}, {error}") from None
        if options.map and not isinstance(reader, CsvReader):
            raise click.UsageError("--map is for CSV")
        yield reader, file


async def _import(
    options: ImportOptions, settings: Settings, reader: RowReader, file: BinaryIO, store: Store
) -> "FileImport":
    database = select_database(await store.databases(), options.database)
    rows = options.dialect.file_rows
    assert rows is not None
    parser = _parser(options, settings, reader, database, rows)
    if isinstance(reader, CsvReader):
        _check_columns(reader, database, options, rows)
    log = _log(options, settings, reader, database, store)
    pseudonym = await open_pseudonyms(store, settings.secret_file)
    changes = ChangeBuilder(Geolocator(settings.geoip), now, new_profile_id, pseudonym)
    refused = RefusedFile(options.refused, reader)
    report = _Report()
    size = options.file.stat().st_size if str(options.file) != STDIN else 0
    with row_progress("importing", size, file.tell if size else lambda: 0) as progress:
        job = FileImport(
            store, database.id, changes, parser, reader, refused, log, report, progress, now, is_dry_run=options.dry_run
        )
        await _run(job, options)
    return job


async def _run(job: FileImport, options: ImportOptions) -> None:
    """Run an import, and say what became of it. Raises `ClickException` where it cannot begin."""
    place = f"{options.file}, "
    try:
        await job.run(options.skip, resume=options.resume)
    except AlreadyImported:
        click.echo(f"{options.file} is imported completely already", err=True)
    except UnusableRefusedFile as error:
        raise click.ClickException(f"{error}\n{_done(job, options)}") from None
    except (InvalidFile, *READ_ERRORS) as error:
        done = options.skip + job.rows
        click.echo(
            f"Error: {place}{error or type(error).__name__}\n"
            f"The {done} rows before it are done. Mend the file, and import the rest with --skip {done}",
            err=True,
        )
    except (Unavailable, asyncio.CancelledError):  # Ctrl-C cancels the task of the command
        click.echo(_done(job, options), err=True)
        raise
    verb = "would be imported" if options.dry_run else "imported"
    click.echo(f"{job.rows} rows: {job.rows - job.refused} {verb}, {job.refused} refused")


def _done(job: FileImport, options: ImportOptions) -> str:
    can_resume = options.file.is_file() and not options.dry_run
    return f"{job.rows} rows are done{'; --resume continues' if can_resume else ''}"


def _parser(
    options: ImportOptions, settings: Settings, reader: RowReader, database: Database, rows: FileRows
) -> RowParser:
    given = options.parameters
    own = {name: _typed(value) if reader.is_typed else value for name, value in given.items()}
    parameters = {**reader.parameters, **own}
    named = str(parameters.get("db_id", database.id)).strip()
    if named != str(database.id):
        raise InvalidSettings(f"{options.file} is for database {named}: say --database {named}")
    if not rows.has_parameters and (others := sorted(parameters.keys() - {"db_id"})):
        raise InvalidSettings(f"{options.dialect.name} has no parameter {others[0]}")
    if options.mode not in rows.calls:
        raise InvalidSettings(f"{options.dialect.name} has no mode {options.mode}: {', '.join(rows.calls)}")
    parameters["db_id"] = database.id if reader.is_typed else str(database.id)
    bounds = Bounds(settings.max_depth, settings.max_nodes, settings.max_name, settings.max_text, settings.max_items)
    schema = dialect_schema(database, options.dialect)
    parser = RowParser(options.dialect, rows, options.mode, database, schema, parameters, bounds)
    try:
        parser.check_parameters(is_typed=reader.is_typed)
    except InvalidParameters as error:
        raise InvalidSettings(str(error)) from None
    return parser


def _typed(text: str) -> Any:
    """Return the value that a parameter has in JSON, or the text where it is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _check_columns(reader: CsvReader, database: Database, options: ImportOptions, rows: FileRows) -> None:
    """Report the columns that no field is declared for.

    Raises `InvalidSettings` if the database is closed, or the dialect has no such field, or none that can match.
    """
    dialect = options.dialect.name
    known = {*rows.names, *(f"{rows.own_fields}{name}" for name in database.fields.get("properties", {}))}
    unknown = [name for name in reader.fields if name not in known]
    if foreign := [name for name in unknown if not (rows.is_open or name.startswith(rows.own_fields))]:
        raise InvalidSettings(
            f"{dialect} has no field {', '.join(foreign)}: --map COLUMN={rows.own_fields}NAME makes an own field of a"
            " column, --map COLUMN= leaves it out"
        )
    if len(unknown) == len(reader.fields) and options.mode != "add":
        raise InvalidSettings(
            f"no column is a field of {dialect} or of database {database.id}, so no row can match: --map COLUMN=FIELD"
            f" names the field of a column; the columns are {', '.join(unknown)}"
        )
    if unknown and database.closed:
        names = ", ".join(unknown)
        raise InvalidSettings(
            f"database {database.id} is closed and declares no field {names}: --map COLUMN=FIELD names the field of a"
            " column, --map COLUMN= leaves it out"
        )
    if unknown:
        click.echo(f"columns that become own fields, undeclared, as text: {', '.join(unknown)}", err=True)


def _log(
    options: ImportOptions, settings: Settings, reader: RowReader, database: Database, store: Store
) -> ImportLog | None:
    """Return the log of the import, None where nothing could be resumed."""
    if options.dry_run or not options.file.is_file():
        return None
    how: Sequence[Any] = (
        *(database.id, options.dialect.name, options.mode, sorted(options.parameters.items()), options.skip),
        *(type(reader).__name__, options.delimiter, options.encoding, sorted(options.map.items())),
        *(settings.max_body, group_limits()),
    )
    return ImportLog(store, database.id, fingerprint(file_digest(options.file) + repr(how)), now)


class _Report:
    """Prints the first refusals."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, line: int, reason: str) -> None:
        self._count += 1
        if self._count <= MAX_REPORTED:
            click.echo(f"line {line}: {reason}", err=True)
        elif self._count == MAX_REPORTED + 1:
            click.echo("further refusals are not printed; --refused FILE keeps all", err=True)
