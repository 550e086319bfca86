"""The command `contracts`: the published descriptions as files."""

from pathlib import Path

import click

from gateway.cli.store import load_settings
from gateway.dialects import load_dialects
from gateway.openapi import files


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, writable=True, path_type=Path))
def contracts(folder: Path) -> None:
    """Write OpenAPI, XML Schemas and JSON Schemas into DIR, as the gateway serves them.

    The settings apply: GATEWAY_ALTCRAFT_ALWAYS_200 changes the replies of Altcraft's calls.
    """
    descriptions = files.contracts(load_dialects(load_settings().as_dict()))
    try:
        for path, body in descriptions.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"{len(descriptions)} files written to {folder}")
