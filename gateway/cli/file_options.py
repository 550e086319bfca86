"""Options that the commands on files of profiles share."""

from collections.abc import Sequence

import click

from gateway.cli.options import POSITIVE
from gateway.cli.store import InvalidSettings, find_database
from gateway.core.model import Database
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Dialect
from gateway.schema.compiled import CompiledSchema
from gateway.schema.files import load_schema


def parse_pairs(_context: click.Context, _option: click.Parameter, pairs: Sequence[str]) -> dict[str, str]:
    """Return the values of NAME=VALUE by their names. Raises `BadParameter`."""
    if bad := [pair for pair in pairs if "=" not in pair.removeprefix("=")]:
        raise click.BadParameter(f"{bad[0]!r} is not NAME=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


def select_database(databases: Sequence[Database], id: int | None) -> Database:
    """Return the database with an id, or the only one. Raises `ClickException`."""
    if id is not None:
        return find_database(databases, id)
    if len(databases) != 1:
        raise InvalidSettings(f"the store has {len(databases)} databases: --database says which one")
    return databases[0]


def dialect_schema(database: Database, dialect: Dialect) -> CompiledSchema:
    """Return the schema of a database with the constraints of a dialect."""
    return CompiledSchema(database, load_schema(dialect.constraints) if dialect.constraints else {})


def _parse_dialect(_context: click.Context, _option: click.Parameter, name: str) -> Dialect:
    dialects = {each.name: each for each in load_dialects({}) if each.file_rows}
    if name not in dialects:
        raise click.BadParameter(f"{name!r} is not one of {', '.join(dialects)}")
    return dialects[name]


def _parse_delimiter(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    sign = {"tab": "\t", "\\t": "\t"}.get(text or "", text)
    if sign is not None and (len(sign) != 1 or sign in '"\r\n'):
        raise click.BadParameter("it must be one character, or tab")
    return sign


FILE_DATABASE = click.option("--database", type=POSITIVE, help="id of the database  [default: the only one]")
DIALECT = click.option(
    "--dialect",
    default="altcraft",
    show_default=True,
    callback=_parse_dialect,
    metavar="NAME",
    help="dialect whose names of fields the rows have",
)
DELIMITER = click.option(
    "--delimiter", callback=_parse_delimiter, metavar="SIGN", help="of the cells of CSV, such as ; or tab"
)
