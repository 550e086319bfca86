"""The commands `segment`: static lists of profiles."""

import click

from gateway.cli.options import DATABASE, ID, NAME, setting
from gateway.cli.store import update_registry
from gateway.core.model import Segment


@click.group()
def segment() -> None:
    """Create static segments: lists of profiles that clients maintain."""


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
