"""The commands `database`: the namespaces of profiles."""

from collections.abc import Mapping
from typing import Any

import click
import orjson

from gateway.cli.options import FIELDS, ID, JSON, NAME, POSITIVE, setting
from gateway.cli.output import Row, print_json, print_rows
from gateway.cli.store import load_settings, run_on_store, update_registry
from gateway.core.model import Database


@click.group()
def database() -> None:
    """Create, list and show databases: the namespaces of profiles."""


@database.command("create")
@setting("store")
@ID
@NAME
@click.option("--closed", is_flag=True, help="reject undeclared fields, resources, categories and segments")
@FIELDS
@click.option("--company-id", help="public id, for calls without a secret token")
def create_database(
    store: str | None, id: int, name: str, closed: bool, fields: Mapping[str, Any], company_id: str | None
) -> None:
    """Create a database."""
    database = Database(id, name, closed, fields, company_id)
    duplicate = f"the id {id} or the company id is another database's"
    update_registry(store, lambda store: store.add_database(database), duplicate, create=True)
    click.echo(f"database {id} created")


@database.command("list")
@setting("store")
@JSON
def list_databases(store: str | None, as_json: bool) -> None:
    """List the databases."""
    databases = run_on_store(load_settings(store=store), lambda store: store.databases())
    print_rows([_summary(database) for database in databases], as_json)


@database.command("show")
@setting("store")
@JSON
@click.argument("id", type=POSITIVE)
def print_database(store: str | None, id: int, as_json: bool) -> None:
    """Print the database ID with its fields, resources and segments."""
    databases = run_on_store(load_settings(store=store), lambda store: store.databases())
    database = next((database for database in databases if database.id == id), None)
    if database is None:
        raise click.ClickException(f"there is no database {id}")
    if as_json:
        print_json(database)
    else:
        _print_parts(database)


def _summary(database: Database) -> Row:
    return {
        "id": database.id,
        "name": database.name,
        "closed": database.closed,
        "company_id": database.company_id,
        "fields": list(database.fields.get("properties", {})),
        "resources": list(database.resources),
        "segments": list(database.segments),
    }


def _print_parts(database: Database) -> None:
    print_rows([_summary(database)])
    properties = database.fields.get("properties", {})
    print_rows([{"field": name, "schema": orjson.dumps(schema).decode()} for name, schema in properties.items()])
    resources = database.resources.values()
    print_rows([{"resource": each.id, "name": each.name, "categories": each.categories} for each in resources])
    print_rows([{"segment": each.id, "name": each.name} for each in database.segments.values()])
