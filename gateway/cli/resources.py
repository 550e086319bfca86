"""The commands `resource`: the channel sources that profiles subscribe to."""

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli.options import DATABASE, FIELDS, ID, NAME, setting
from gateway.cli.store import update_registry
from gateway.core.model import Resource


@click.group()
def resource() -> None:
    """Create resources: the channel sources that profiles subscribe to."""


@resource.command("create")
@setting("store")
@DATABASE
@ID
@NAME
@click.option("--category", "categories", multiple=True, help="a category of subscriptions; may be repeated")
@FIELDS
def create_resource(
    store: str | None, database: int, id: int, name: str, categories: tuple[str, ...], fields: Mapping[str, Any]
) -> None:
    """Create a resource. FILE declares the own fields of its subscriptions."""
    resource = Resource(id, name, categories, fields)
    duplicate, missing = f"database {database} has a resource {id} already", f"there is no database {database}"
    update_registry(store, lambda store: store.add_resource(database, resource), duplicate, missing)
    click.echo(f"resource {id} created in database {database}")
