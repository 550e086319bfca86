"""The command `export`: the profiles of a database as a file."""

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
from msgspec import Struct

from gateway.cli.file_options import DELIMITER, DIALECT, FILE_DATABASE, dialect_schema, select_database
from gateway.cli.options import POSITIVE, setting
from gateway.cli.progress import row_progress
from gateway.cli.store import load_settings, run_on_store
from gateway.core.cursor import format_cursor
from gateway.core.faults import Refusal
from gateway.core.model import Position
from gateway.dialects.protocol import Dialect
from gateway.feed.cursors import parse_feed_cursor
from gateway.service.pseudonyms import open_pseudonyms
from gateway.settings import Settings
from gateway.stores.protocol import Store
from gateway.transfer.file_export import FileExport, changed_profiles
from gateway.transfer.formats import READERS, format_of_name
from gateway.transfer.formats.csv import CsvWriter
from gateway.transfer.formats.json import JsonWriter
from gateway.transfer.formats.ndjson import NdjsonWriter
from gateway.transfer.formats.protocol import RowWriter
from gateway.transfer.formats.xml import XmlWriter

BUFFER_BYTES = 1 << 20
STDOUT = "-"


class ExportOptions(Struct, frozen=True):
    """What the command line says, but for the settings."""

    file: Path
    database: int | None
    dialect: Dialect
    format: str
    delimiter: str
    segment: int | None
    after: str | None
    spreadsheet: bool


@click.command("export")
@setting("store")
@FILE_DATABASE
@DIALECT
@click.option("--format", type=click.Choice(list(READERS)), help="format of FILE  [default: by its name, else ndjson]")
@DELIMITER
@click.option("--segment", type=POSITIVE, metavar="ID", help="only the profiles of this static segment")
@click.option("--after", metavar="CURSOR", help="only profiles that changed after an export, which printed CURSOR")
@click.option(
    "--spreadsheet",
    is_flag=True,
    help="CSV: an apostrophe before texts that a spreadsheet would run as formulas; not for a later import",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
def export_file(store: str | None, format: str | None, delimiter: str | None, **given: Any) -> None:
    """Write the profiles of a database to FILE, or to stdout if FILE is a dash, as rows that `import` reads.

    The server may run meanwhile: the file is a snapshot. It contains personal data, and only its owner can read it. A
    name that ends in .gz gets a compressed file.
    """
    file: Path = given["file"]
    options = ExportOptions(format=format or format_of_name(file.name) or "ndjson", delimiter=delimiter or ",", **given)
    if options.spreadsheet and options.format != "csv":
        raise click.UsageError("--spreadsheet is for CSV")
    settings = load_settings(store=store)
    try:
        count, cursor = run_on_store(settings, lambda opened: _export(options, settings, opened))
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    click.echo(f"{count} rows written to {file}; what changes from now on: --after {cursor}", err=True)


async def _export(options: ExportOptions, settings: Settings, store: Store) -> tuple[int, str]:
    """Write the file. Return its rows, and the cursor of what it contains."""
    database = select_database(await store.databases(), options.database)
    rows = options.dialect.file_rows
    assert rows is not None
    schema, pseudonym = dialect_schema(database, options.dialect), await open_pseudonyms(store, settings.secret_file)
    # The position is read before the snapshot: what is written in between is exported again by the next one.
    kept = await store.journal_range(database.id)
    newest = max(kept.newest, kept.removed)
    ids = await _changed_ids(options, store, database.id, newest)
    async with store.snapshot() as snapshot:
        export = FileExport(
            store, snapshot, database, rows, schema, pseudonym, options.segment, ids, is_flat=options.format == "csv"
        )
        with _open_output(options.file) as output:
            writer = await _writer(options, export, database.id)
            with row_progress("exporting", 0, lambda: 0) as progress:
                return await _write(export, writer, output, progress), format_cursor(store.id, newest)


async def _changed_ids(options: ExportOptions, store: Store, database: int, newest: Position) -> set[str] | None:
    """Return the ids of the profiles that changed after the cursor; None without one. Raises `ClickException`."""
    if options.after is None:
        return None
    try:
        after = await parse_feed_cursor(options.after, store, database)
    except Refusal as refusal:
        raise click.ClickException(f"--after: {refusal.faults[0].text}") from None
    return await changed_profiles(store, database, after, newest)


async def _writer(options: ExportOptions, export: FileExport, database: int) -> RowWriter:
    match options.format:
        case "csv":
            with row_progress("finding columns", 0, lambda: 0) as progress:
                columns = await export.columns(progress)
            return CsvWriter(columns, options.delimiter, is_for_spreadsheets=options.spreadsheet)
        case "xml":
            return XmlWriter({"db_id": str(database)})
        case "json":
            return JsonWriter()
        case _:
            return NdjsonWriter()


async def _write(export: FileExport, writer: RowWriter, output: BinaryIO, progress: Any) -> int:
    """Write the rows. Return how many. Raises `ClickException` for a row that the format cannot represent."""
    output.write(writer.head)
    count = 0
    async for id, row in export.rows():
        try:
            output.write(writer.row(row, count == 0))
        except ValueError as error:
            raise click.ClickException(f"profile {id}: {error}; another format can") from None
        count += 1
        progress(1)
    output.write(writer.tail)
    return count


@contextmanager
def _open_output(file: Path) -> Iterator[BinaryIO]:
    """Open a new file, and sync it to the disk at the end. A file that is not written to its end is removed.

    Raises `UsageError` if it exists.
    """
    if str(file) == STDOUT:
        yield sys.stdout.buffer
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.UsageError(f"{file} exists already") from None
    try:
        with os.fdopen(descriptor, "wb", BUFFER_BYTES) as output:
            if file.suffix == ".gz":
                with gzip.GzipFile(fileobj=output, mode="wb", filename="") as compressed:
                    yield cast(BinaryIO, compressed)
            else:
                yield output
            output.flush()
            os.fsync(output.fileno())
    except BaseException:
        file.unlink()
        raise
