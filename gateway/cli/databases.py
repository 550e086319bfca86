"""The commands `database`: the namespaces of profiles."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import click
import orjson

from gateway.cli.options import FIELDS, ID, JSON, NAME, NEW_NAME, POSITIVE, setting
from gateway.cli.output import Row, print_json, print_rows
from gateway.cli.store import find_database, load_settings, run_on_store, update_registry
from gateway.core.model import Database
from gateway.service.database_update import UpdateConflicts, find_conflicts, index_profiles
from gateway.stores.protocol import Store


@click.group()
def database() -> None:
    """Create, update, list and show databases: the namespaces of profiles."""


@database.command("create")
@setting("store")
@ID
@NAME
@click.option("--closed", is_flag=True, help="reject undeclared fields, resources, categories and segments")
@FIELDS
@click.option("--company-id", help="public id, for calls without a secret token")
def create_database(
    store: str | None, id: int, name: str, closed: bool, fields: Mapping[str, Any] | None, company_id: str | None
) -> None:
    """Create a database."""
    database = Database(id, name, closed, fields or {}, company_id)
    duplicate = f"the id {id} or the company id is another database's"
    update_registry(store, lambda store: store.add_database(database), duplicate, create=True)
    click.echo(f"database {id} created")


@database.command("update")
@setting("store")
@NEW_NAME
@click.option("--open/--closed", "is_open", default=None, help="accept or reject undeclared fields")
@FIELDS
@click.option("--company-id", help="another public id; an empty one removes it")
@click.option("--dry-run", is_flag=True, help="print how many stored profiles would become invalid, change nothing")
@click.option("--force", is_flag=True, help="update the database even if stored profiles become invalid")
@click.argument("id", type=POSITIVE)
def update_database(
    store: str | None,
    id: int,
    name: str | None,
    is_open: bool | None,
    fields: Mapping[str, Any] | None,
    company_id: str | None,
    dry_run: bool,
    force: bool,
) -> None:
    """Update the database ID. What no option names stays as it is. FILE replaces all declared fields.

    First the stored profiles are counted that would become invalid, or would share a value of a new identifier. If
    there are any, nothing is changed without --force. Running servers use the new settings at once. New identifiers
    find stored profiles when the command has ended; if it is interrupted, run it again.
    """
    given: dict[str, Any] = {
        "name": name,
        "closed": None if is_open is None else not is_open,
        "fields": fields,
        "company_id": company_id,
    }
    changes = {member: value for member, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("nothing to update: name an option")
    if company_id == "":
        changes["company_id"] = None
    update_registry(store, partial(_update, id, changes, dry_run, force), "the company id is another database's")


async def _update(id: int, changes: Mapping[str, Any], dry_run: bool, force: bool, store: Store) -> None:
    before = find_database(await store.databases(), id)
    after = replace(before, **changes)
    conflicts = await find_conflicts(store, before, after)
    found = conflicts.invalid or conflicts.duplicate
    if found or dry_run:
        click.echo(_describe(conflicts), err=not dry_run)
    if dry_run:
        return
    if found and not force:
        raise click.ClickException("nothing was changed; --force updates the database all the same")
    await store.update_database(after)
    click.echo(f"database {id} updated")
    if "fields" in changes:
        click.echo(f"{await index_profiles(store, before, after)} profiles indexed by their identifiers")


def _describe(conflicts: UpdateConflicts) -> str:
    counts = (
        f"{conflicts.invalid} of {conflicts.profiles} profiles would become invalid,"
        f" {conflicts.duplicate} would have a value of a new identifier that another one has"
    )
    return "\n".join([counts, *(f"  profile {example}" for example in conflicts.examples)])


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
    database = find_database(databases, id)
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
