"""The commands `segment`: static lists of profiles."""

from dataclasses import replace

import click

from gateway.cli.options import DATABASE, ID, JSON, NAME, setting
from gateway.cli.output import print_rows
from gateway.cli.store import find_database, load_settings, run_on_store, update_registry
from gateway.core.segments import Segment
from gateway.stores.protocol import Store


@click.group()
def segment() -> None:
    """Create, list, update and delete static segments: lists of profiles that clients maintain."""


@segment.command("create")
@setting("store")
@DATABASE
@ID
@NAME
def create_segment(store: str | None, database: int, id: int, name: str) -> None:
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
    print_rows([{"id": each.id, "name": each.name} for each in segments], as_json)


@segment.command("update")
@setting("store")
@DATABASE
@ID
@NAME
def update_segment(store: str | None, database: int, id: int, name: str) -> None:
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
def delete_segment(store: str | None, database: int, id: int) -> None:
    """Delete a static segment. Profiles keep its id."""
    update_registry(store, lambda store: store.remove_segment(database, id), missing=_missing(database, id))
    click.echo(f"segment {id} deleted in database {database}")


def _missing(database: int, id: int) -> str:
    return f"there is no segment {id} in database {database}"
