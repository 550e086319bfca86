"""The commands `segment`: static lists of profiles."""

from dataclasses import replace

import click

from gateway.cli.options import DATABASE, JSON, NAME, POSITIVE, setting
from gateway.cli.output import print_rows
from gateway.cli.store import find_database, load_settings, run_on_store, update_registry
from gateway.core.segments import MAX_ID_CHARACTERS, Segment, SegmentId, segment_of
from gateway.stores.protocol import Store


def _parse_id(context: click.Context, option: click.Parameter, text: str) -> SegmentId:
    """Return a number or a text. Raises `BadParameter`."""
    id: SegmentId = segment_of(text)
    if isinstance(id, int):
        return int(POSITIVE.convert(id, option, context))
    if not 0 < len(text.strip()) <= len(text) <= MAX_ID_CHARACTERS:
        raise click.BadParameter(f"it must be a number, or a text of 1 to {MAX_ID_CHARACTERS} characters")
    return id


ID = click.option("--id", callback=_parse_id, required=True, help="id in the API: a number, or a text")


@click.group()
def segment() -> None:
    """Create, list, update and delete static segments: lists of profiles that clients maintain."""


@segment.command("create")
@setting("store")
@DATABASE
@ID
@NAME
def create_segment(store: str | None, database: int, id: SegmentId, name: str) -> None:
    """Create a static segment."""
    duplicate, missing = f"database {database} has a segment {id} already", f"there is no database {database}"
    update_registry(store, lambda store: store.add_segment(database, Segment(id, name)), duplicate, missing)
    click.echo(f"segment {id} created in database {database}")


@segment.command("list")
@setting("store")
@DATABASE
@JSON
def list_segments(store: str | None, database: int, as_json: bool) -> None:
    """List the static segments of a database."""
    databases = run_on_store(load_settings(store=store), lambda store: store.databases())
    segments = find_database(databases, database).segments.values()
    rows = [{"id": each.id, "name": each.name, "archived": each.archived is not None} for each in segments]
    print_rows(rows, as_json)


@segment.command("update")
@setting("store")
@DATABASE
@ID
@NAME
def update_segment(store: str | None, database: int, id: SegmentId, name: str) -> None:
    """Rename a static segment."""

    async def rename(store: Store) -> None:
        declared = {each.id: each.segments for each in await store.databases()}.get(database, {}).get(id)
        await store.update_segment(database, replace(declared or Segment(id, name), name=name))

    update_registry(store, rename, missing=_missing(database, id))
    click.echo(f"segment {id} updated in database {database}")


@segment.command("delete")
@setting("store")
@DATABASE
@ID
def delete_segment(store: str | None, database: int, id: SegmentId) -> None:
    """Delete a static segment. Profiles keep its id."""
    update_registry(store, lambda store: store.remove_segment(database, id), missing=_missing(database, id))
    click.echo(f"segment {id} deleted in database {database}")


def _missing(database: int, id: SegmentId) -> str:
    return f"there is no segment {id} in database {database}"
