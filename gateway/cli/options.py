"""Options and arguments that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from gateway.dialects import load_dialects
from gateway.schema.field_declarations import parse_fields
from gateway.settings import Settings, table, variable

Command = Callable[..., None]

MAX_ID = 2**53 - 1
"""The largest integer that every JSON parser represents exactly."""


def setting(field: str) -> Callable[[Command], Command]:
    """Return the option that overrides the environment variable of a setting."""
    name = variable(field)
    default, description = next((default, text) for row, default, text in table() if row == name)

    def validate(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
        if text is not None:
            try:
                Settings.from_environment({name: text})
            except ValueError as error:
                raise click.BadParameter(str(error).removeprefix(f"{name}: ")) from None
        return text

    return click.option(
        f"--{field}", callback=validate, help=f"{description}  [env: {name}; default: {default}]", metavar="TEXT"
    )


def server_url(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """Validate the URL of a server. Raises `BadParameter`."""
    if text is not None and not text.startswith(("http://", "https://")):
        raise click.BadParameter(f"{text!r} does not begin with http:// or https://")
    return text


def _parse_fields(_context: click.Context, _option: click.Parameter, file: Path | None) -> dict[str, Any] | None:
    """Return the JSON Schema in a file, without references. Raises `BadParameter` with all its faults."""
    try:
        return read_fields(file) if file else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def read_fields(file: Path) -> dict[str, Any]:
    """Return the JSON Schema in a file, without references. Raises `ValueError` with all its faults."""
    try:
        return parse_fields(orjson.loads(file.read_bytes()), reserved_names())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
    except ValueError as error:
        raise ValueError("\n".join(f"{file}: {problem}" for problem in str(error).splitlines())) from None


def reserved_names() -> set[str]:
    """Return the names that no own field can have in some dialect."""
    return {name for dialect in load_dialects({}) for name in dialect.reserved_names}


POSITIVE = click.IntRange(1, MAX_ID)
DATABASE = click.option("--database", type=POSITIVE, required=True, help="id of the database")
ID = click.option("--id", type=POSITIVE, required=True, help="id in the API")
NAME = click.option("--name", required=True, help="name for people")
NEW_NAME = click.option("--name", help="another name for people")
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")
FIELDS = click.option(
    "--fields",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    callback=_parse_fields,
    metavar="FILE",
    help='JSON Schema of its own fields; "x-identifier": true marks a field that identifies a profile',
)
