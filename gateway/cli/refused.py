"""The commands `refused`: requests that were refused, to be mended and sent again."""

from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import click
import orjson
from msgspec import Struct
from msgspec.structs import replace

from gateway.cli.options import JSON, POSITIVE, setting
from gateway.cli.output import print_json, print_rows
from gateway.cli.store import find_database, load_settings, now, run_on_store
from gateway.core.refused_requests import RefusedFilter, RefusedRequest, render_fault
from gateway.core.times import format_time
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Dialect
from gateway.service.catalog import Catalog
from gateway.service.changes import ChangeBuilder
from gateway.service.geolocation import Geolocator
from gateway.service.mending import BodyChange, InvalidMend
from gateway.service.operations import Operations
from gateway.service.pipeline import Pipeline
from gateway.service.plans import Plans, bounds_of
from gateway.service.profile_ids import new_profile_id
from gateway.service.pseudonyms import open_pseudonyms
from gateway.service.rate_limits import RateLimits
from gateway.service.replays import NotReplayable, Replay, Replays, call_of, faults_in_body, refused_lifetime
from gateway.settings import Settings
from gateway.stores.protocol import Store

READ_REQUESTS = 100
"""Refused requests that are read at once."""

DATABASE = click.option("--database", type=POSITIVE, help="id of the database; all of them if omitted")
DIALECT = click.option("--dialect", default="", help="only requests of this dialect")
FAULT = click.option("--fault", default="", metavar="NAME", help="only requests whose first fault has this name")
WAITING = click.option("--waiting", is_flag=True, help="only requests that were not replayed")


class RefusedSelection(Struct, frozen=True):
    """Which refused requests a command is about. `database` is None for all databases."""

    database: int | None
    filter: RefusedFilter


@click.group()
def refused() -> None:
    """List, show, mend and replay refused requests. A server with GATEWAY_KEEP_REFUSED_DAYS keeps them."""


@refused.command("list")
@setting("store")
@DATABASE
@DIALECT
@FAULT
@click.option("--request", default="", metavar="ID", help="only the request with this X-Request-ID")
@WAITING
@JSON
def list_refused(
    store: str | None, database: int | None, dialect: str, fault: str, request: str, waiting: bool, as_json: bool
) -> None:
    """List refused requests, the newest first. With --json, each is a line of JSON, with its faults and its body."""
    selection = RefusedSelection(database, RefusedFilter(dialect, fault, request, False if waiting else None))
    settings = load_settings(store=store)
    dialects = load_dialects(settings.as_dict())

    async def print_all(store: Store) -> None:
        rows = []
        async for each in _selected(store, selection):
            if as_json:
                click.echo(orjson.dumps(_line(each, dialects)))
            else:
                rows.append(_row(each, dialects))
        print_rows(rows)

    run_on_store(settings, print_all)


@refused.command("show")
@setting("store")
@click.argument("id")
def show_refused(store: str | None, id: str) -> None:
    """Print the refused request ID as JSON: what it was, its faults with their places in the body, and its body."""
    settings = load_settings(store=store)
    found = run_on_store(settings, lambda store: _find(store, id))
    print_json(_details(found, load_dialects(settings.as_dict())))


def _parse_changes(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> list[BodyChange]:
    """Return the changes of POINTER=VALUE. Raises `BadParameter`."""
    for text in texts:
        if "=" not in text:
            raise click.BadParameter(f"{text}: use POINTER=VALUE")
    return [BodyChange(pointer, value) for pointer, _, value in (text.partition("=") for text in texts)]


@refused.command("replay")
@setting("store")
@click.option(
    "--set",
    "changes",
    multiple=True,
    callback=_parse_changes,
    metavar="POINTER=VALUE",
    help="put a value, which is JSON or else a text, at a place of the body, such as /data/email; may be repeated",
)
@click.option("--unset", "removals", multiple=True, metavar="POINTER", help="remove a place of the body")
@click.option("--body", type=click.File("rb"), help="send the content of this file in place of the body")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def replay_refused(
    store: str | None, changes: Sequence[BodyChange], removals: Sequence[str], body: Any, ids: Sequence[str]
) -> None:
    """Carry out the refused requests ID again, each with its own token, and each once: a second replay is refused.

    --set, --unset and --body mend the body first. The exit status is 1 if one was not carried out. The server may run
    meanwhile.
    """
    content = body.read() if body else None
    edits = [*changes, *(BodyChange(each, None) for each in removals)]
    settings = load_settings(store=store)
    done = run_on_store(settings, lambda store: _replay_all(store, settings, ids, edits, content))
    if not all(done):
        raise SystemExit(1)


@refused.command("export")
@setting("store")
@DATABASE
@DIALECT
@FAULT
@WAITING
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def export_refused(
    store: str | None, database: int | None, dialect: str, fault: str, waiting: bool, folder: Path
) -> None:
    """Write refused requests as case folders into DIR, for `check`. They contain what was sent, but no token.

    Folders that an earlier export wrote stay as they are.
    """
    selection = RefusedSelection(database, RefusedFilter(dialect, fault, is_replayed=False if waiting else None))
    settings = load_settings(store=store)
    run_on_store(settings, lambda store: _export(store, settings, selection, folder))


async def _replay_all(
    store: Store, settings: Settings, ids: Sequence[str], changes: Sequence[BodyChange], body: bytes | None
) -> list[bool]:
    """Replay requests in their order, and print what came of each. Return whether each was carried out."""
    replays, pipeline = await _open_replays(store, settings)
    done = []
    for id in ids:
        try:
            request = await _find(store, id)
            replay = await replays.run(pipeline, request if body is None else replace(request, body=body), changes)
        except (NotReplayable, InvalidMend, click.ClickException) as reason:
            click.echo(f"{id}: not sent: {reason}", err=True)
            done.append(False)
        else:
            click.echo(f"{id}: {_outcome(replay)}", err=not replay.is_accepted)
            done.append(replay.is_accepted)
    return done


def _outcome(replay: Replay) -> str:
    response = replay.response
    text = " ".join(response.body.decode("utf-8", "replace").split())
    return f"{'accepted' if replay.is_accepted else 'refused again'}, {response.status} {text}".rstrip()


async def _open_replays(store: Store, settings: Settings) -> tuple[Replays, Pipeline]:
    dialects = load_dialects(settings.as_dict())
    catalog = Catalog(store, dialects)
    pseudonym = await open_pseudonyms(store, settings.secret_file)
    changes = ChangeBuilder(Geolocator(settings.geoip), now, new_profile_id, pseudonym, settings.erase_on_delete)
    operations = Operations(store, changes, now, new_profile_id, pseudonym)
    bounds = bounds_of(settings)
    pipeline = Pipeline(catalog, operations, RateLimits(0), bounds, settings.max_batch, now)
    plans = Plans(bounds, settings.max_batch)
    return Replays(store, catalog, dialects, plans, refused_lifetime(settings), now), pipeline


async def _export(store: Store, settings: Settings, selection: RefusedSelection, folder: Path) -> None:
    dialects = load_dialects(settings.as_dict())
    counts = Counter[str]()
    async for each in _selected(store, selection):
        try:
            counts[_export_one(each, dialects, folder)] += 1
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"{counts['written']} case folders in {folder}")
    if counts["present"]:
        click.echo(f"{counts['present']} case folders were there already, and stay as they are", err=True)
    if counts["left out"]:
        click.echo(f"{counts['left out']} refused requests are neither JSON nor XML, and left out", err=True)


def _export_one(request: RefusedRequest, dialects: Sequence[Dialect], folder: Path) -> str:
    """Write the case of a refused request. Return what became of it: written, present or left out. Raises `OSError`."""
    from gateway.cli.refused_cases import is_case, write_case  # it loads the server

    try:
        dialect, call = call_of(request, dialects)
    except NotReplayable:
        return "left out"
    case = folder / f"{dialect.name}-{request.faults[0].code}-{request.id}"
    if is_case(case):
        return "present"
    return "written" if write_case(request, dialect, call, case) else "left out"


async def _selected(store: Store, selection: RefusedSelection) -> AsyncIterator[RefusedRequest]:
    """Yield the selected requests, database by database, the newest first."""
    databases = await store.databases()
    if selection.database is not None:
        databases = [find_database(databases, selection.database)]
    for database in databases:
        before = None
        while page := await store.refused(database.id, selection.filter, before, READ_REQUESTS):
            for each in page:
                yield each
            before = page[-1].position


async def _find(store: Store, id: str) -> RefusedRequest:
    for database in await store.databases():
        if found := await store.refused_request(database.id, id):
            return found
    raise click.ClickException(f"there is no refused request {id}")


def _line(request: RefusedRequest, dialects: Sequence[Dialect]) -> dict[str, Any]:
    return {
        "id": request.id,
        "time": format_time(request.time),
        "dialect": request.dialect,
        "call": request.call,
        "faults": list(map(render_fault, faults_in_body(request, dialects))),
        "body": _text(request.body),
    }


def _details(request: RefusedRequest, dialects: Sequence[Dialect]) -> dict[str, Any]:
    return {
        **_line(request, dialects),
        "database": request.database,
        "token": request.token,
        "request": request.request,
        "target": request.target,
        "headers": request.headers,
        "replayed": format_time(request.replayed) if request.replayed else None,
    }


def _row(request: RefusedRequest, dialects: Sequence[Dialect]) -> dict[str, Any]:
    first, *others = faults_in_body(request, dialects)
    return {
        "id": request.id,
        "time": format_time(request.time),
        "call": request.call,
        "fault": f"{first.code} {first.pointer}".strip() + (f" and {len(others)} more" if others else ""),
        "replayed": bool(request.replayed),
    }


def _text(body: bytes) -> str:
    """Return a body as text: one that is not in UTF-8 as a data URL (RFC 2397)."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"data:;base64,{b64encode(body).decode()}"
