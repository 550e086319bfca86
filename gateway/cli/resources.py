"""The commands `resource`: the channel sources that profiles subscribe to."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import DATABASE, FIELDS, ID, JSON, NAME, NEW_NAME, setting
from gateway.cli.output import Row, print_rows
from gateway.cli.store import find_database, load_settings, run_on_store, update_registry
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Resource
from gateway.optional_dependencies import MissingExtra
from gateway.service.json_web_tokens import InvalidKey, require_key
from gateway.stores.errors import Missing
from gateway.stores.protocol import Store

CATEGORIES = click.option(
    "--category", "categories", multiple=True, help="a category of subscriptions; may be repeated"
)


TOKEN = click.option(
    "--rtoken", help="the token of the resource, which web pages and apps send; the store keeps a hash of it"
)
PUBLIC_KEY = click.option(
    "--public-key",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    callback=lambda _context, _option, file: file and _read_key(file),
    metavar="FILE",
    help="a file with the public key (PEM) that verifies the JWTs of apps",
)


@click.group()
def resource() -> None:
    """Create, list, update and delete resources: the channel sources that profiles subscribe to."""


@resource.command("create")
@setting("store")
@DATABASE
@ID
@NAME
@CATEGORIES
@FIELDS
@TOKEN
@PUBLIC_KEY
def create_resource(
    store: str | None,
    database: int,
    id: int,
    name: str,
    categories: tuple[str, ...],
    fields: Mapping[str, Any] | None,
    rtoken: str | None,
    public_key: str | None,
) -> None:
    """Create a resource. FILE declares the own fields of its subscriptions."""
    resource = Resource(id, name, categories, fields or {}, rtoken and fingerprint(rtoken), public_key)
    duplicate, missing = f"database {database} has a resource {id} already", f"there is no database {database}"
    if rtoken:
        duplicate += ", or another resource has this token"
    update_registry(store, lambda store: store.add_resource(database, resource), duplicate, missing)
    click.echo(f"resource {id} created in database {database}")


@resource.command("list")
@setting("store")
@DATABASE
@JSON
def list_resources(store: str | None, database: int, as_json: bool) -> None:
    """List the resources of a database."""
    databases = run_on_store(load_settings(store=store), lambda store: store.databases())
    print_rows([_row(each) for each in find_database(databases, database).resources.values()], as_json)


@resource.command("update")
@setting("store")
@DATABASE
@ID
@NEW_NAME
@CATEGORIES
@FIELDS
@TOKEN
@PUBLIC_KEY
def update_resource(
    store: str | None,
    database: int,
    id: int,
    name: str | None,
    categories: tuple[str, ...],
    fields: Mapping[str, Any] | None,
    rtoken: str | None,
    public_key: str | None,
) -> None:
    """Update a resource. What no option names stays as it is; categories and fields are replaced as a whole."""
    given: dict[str, Any] = {"name": name, "categories": categories or None, "fields": fields}
    given |= {"token_hash": rtoken and fingerprint(rtoken), "public_key": public_key}
    changes = {member: value for member, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("nothing to update: name an option")

    async def update(store: Store) -> None:
        existing = find_database(await store.databases(), database).resources
        if id not in existing:
            raise Missing
        await store.update_resource(database, replace(existing[id], **changes))

    update_registry(store, update, "another resource has this token", _missing(database, id))
    click.echo(f"resource {id} updated in database {database}")


@resource.command("delete")
@setting("store")
@DATABASE
@ID
def delete_resource(store: str | None, database: int, id: int) -> None:
    """Delete a resource. Subscriptions to it stay in the profiles."""
    update_registry(store, lambda store: store.remove_resource(database, id), missing=_missing(database, id))
    click.echo(f"resource {id} deleted in database {database}")


def _read_key(file: Path) -> str:
    """Return the key in a file. Raises `UsageError` if it cannot verify JWTs."""
    text = file.read_text(errors="replace")
    try:
        require_key(text)
    except (InvalidKey, MissingExtra) as reason:
        raise click.UsageError(f"--public-key: {reason}") from None
    return text


def _missing(database: int, id: int) -> str:
    return f"there is no resource {id} in database {database}"


def _row(resource: Resource) -> Row:
    return {
        "id": resource.id,
        "name": resource.name,
        "categories": resource.categories,
        "fields": list(resource.fields.get("properties", {})),
    }
