"""The commands `dump` and `load`: a whole store as lines of JSON."""

import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from gateway.cli.options import setting
from gateway.cli.store import InvalidSettings, load_settings, run_on_store
from gateway.service.pseudonyms import find_pseudonyms
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
    kind_of,
)

BUFFER_SIZE = 1 << 20
"""Bytes of a dump that are read and written at once."""

FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))


@click.command()
@setting("store")
@click.option("--resume", is_flag=True, help="continue a dump that was interrupted")
@FILE
def dump(store: str | None, resume: bool, file: Path) -> None:
    """Write everything in the store to FILE, one line each, or to stdout if FILE is a dash.

    The server may run meanwhile: the dump is a snapshot of the moment at which it began. FILE contains personal data,
    and only its owner can read it.
    """
    with _file_errors(file):
        kinds = run_on_store(load_settings(store=store), lambda store: _dump(store, file, resume))
        counts = ", ".join(f"{kind}: {count}" for kind, count in kinds.items())
        click.echo(f"{kinds.total()} lines written to {file} ({counts})", err=True)


async def _dump(store: Store, file: Path, resume: bool) -> Counter[str]:
    """Write the dump. Return how many lines of each kind were written."""
    kinds = Counter[str]()
    async with store.snapshot() as snapshot:
        with _open_output(file, resume) as output:
            position = find_position(output) if resume else DumpPosition()
            with _progress("dumping, lines", await snapshot.size()) as advance:
                advance(position.lines)
                async for line in dump_lines(store, snapshot, position):
                    output.write(line)
                    kinds[kind_of(line)] += 1
                    advance(1)
    return kinds


@contextmanager
def _open_output(file: Path, resume: bool) -> Iterator[BinaryIO]:
    """Open the file of a dump, and sync it to the disk at the end. An existing file is never overwritten."""
    if str(file) == "-":
        if resume:
            raise click.UsageError("a dump to stdout cannot be resumed")
        yield sys.stdout.buffer
        return
    if file.exists() and not resume:
        raise click.UsageError(f"{file} exists already: --resume continues it")
    with open(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=BUFFER_SIZE) as output:
        yield output
        output.flush()
        os.fsync(output.fileno())


@click.command()
@setting("store")
@click.option(
    "--existing",
    type=click.Choice(ExistingProfiles, case_sensitive=False),
    default=ExistingProfiles.REFUSE,
    show_default=True,
    help="what to do with a profile that exists already and differs",
)
@click.option("--force", is_flag=True, help="load own fields that do not conform to their declarations, too")
@FILE
def load(store: str | None, existing: ExistingProfiles, force: bool, file: Path) -> None:
    """Load a dump into the store from FILE, or from stdin if FILE is a dash.

    Rows that exist already are skipped: after an interruption, load the same file again. So are rows about a person
    whom this store erased after they were written.
    """
    with _file_errors(file), _open_input(file) as lines:
        settings = load_settings(store=store)
        run = partial(_load, existing, force, settings.secret_file, lines)
        loader = run_on_store(settings, run, create=True)
    click.echo(f"{loader.lines} lines, {loader.new} of them new")


def _open_input(file: Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb", BUFFER_SIZE)


async def _load(
    existing: ExistingProfiles, force: bool, secret_file: str | None, lines: BinaryIO, store: Store
) -> Loader:
    loader = Loader(store, existing, await find_pseudonyms(store, secret_file), force=force)
    with _progress("loading, bytes", os.fstat(lines.fileno()).st_size) as advance:
        await loader.load(lines, advance)
    return loader


@contextmanager
def _file_errors(file: Path) -> Iterator[None]:
    """Report the errors of a dump's file in one line."""
    try:
        yield
    except DumpComplete:
        click.echo(f"{file} is complete already", err=True)
    except InvalidLine as error:
        raise InvalidSettings(f"{file}, {error}") from None
    except RowConflict as error:
        raise click.ClickException(f"{file}, {error}") from None
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None


@contextmanager
def _progress(label: str, length: int) -> Iterator[Callable[[int], object]]:
    """Show a progress bar on stderr if it is a terminal. A length of 0 is unknown: the bar then shows no share."""
    hidden = not sys.stderr.isatty()
    endless = None if length else itertools.repeat(None)
    with click.progressbar(
        endless, length=length or None, label=label, show_pos=True, file=sys.stderr, hidden=hidden
    ) as bar:
        yield bar.update
