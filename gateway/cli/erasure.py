"""The commands `erase` and `erasure`: erase a person, and prove that nothing of the person is stored."""

import sys
from collections.abc import Sequence

import click

from gateway.cli.options import DATABASE, setting
from gateway.cli.store import find_database, load_settings, now, run_on_store
from gateway.core.erasure import normal_forms
from gateway.core.matching import CUSTOM, EMAIL, EXTERNAL_ID, ID, PHONE, identities_by_id
from gateway.core.model import Identity, Origin
from gateway.core.normalization import email, phone
from gateway.service.erasures import erase_person
from gateway.service.pseudonyms import open_pseudonyms
from gateway.settings import Settings
from gateway.stores.protocol import Store

KINDS = (EMAIL, PHONE, EXTERNAL_ID, ID, f"{CUSTOM}/NAME")
TOKEN_ID = "erase"
"""What the entry of such an erasure has in the place of a token's id."""

STDIN = "-"


def _parse_match(_context: click.Context, _option: click.Parameter, text: str) -> tuple[Identity, ...]:
    """Return the identities of KIND=VALUE. Raises `BadParameter`."""
    kind, _, value = text.partition("=")
    if not value or not (kind in KINDS or (kind.startswith(f"{CUSTOM}/") and kind != f"{CUSTOM}/")):
        raise click.BadParameter(f"use KIND=VALUE with one of {', '.join(KINDS)}")
    if kind == ID:
        return identities_by_id(value)
    form = {EMAIL: email, PHONE: phone}.get(kind, str)(value)
    if form is None:
        raise click.BadParameter(f"this is no {kind}")
    return ((kind, form),)


@click.command()
@setting("store")
@DATABASE
@click.option(
    "--match",
    required=True,
    metavar="KIND=VALUE",
    callback=_parse_match,
    help=f"whom to erase; KIND is one of {', '.join(KINDS)}",
)
def erase(store: str | None, database: int, match: tuple[Identity, ...]) -> None:
    """Erase every profile that matches, and the person from history, answers, jobs and deliveries.

    Opt-outs remain under keyed hashes. The server may run meanwhile.
    """
    settings = load_settings(store=store)
    count = run_on_store(settings, lambda store: _erase(store, settings, database, match))
    click.echo(f"{count} profile{'s' if count != 1 else ''} erased")


@click.group()
def erasure() -> None:
    """Prove an erasure, and remove what stores of earlier versions left in free pages."""


@erasure.command()
@setting("store")
@click.option("--value", "values", multiple=True, help="a value of the person, as it was sent; may be repeated")
@click.argument("stdin", required=False, type=click.Choice([STDIN]))
def verify(store: str | None, values: Sequence[str], stdin: str | None) -> None:
    """Search the store for values and their normal forms. With a dash, read further values from stdin, one a line.

    The write-ahead log is written into the file and emptied before. The server may run meanwhile. The receipt has no
    value. The exit status is 1 if one was found.
    """
    if stdin:
        values = [*values, *(line.rstrip("\n") for line in sys.stdin)]
    values = [value for value in values if value]
    if not values:
        raise click.UsageError("no value: name --value V, or a dash to read them from stdin")
    forms = set().union(*map(normal_forms, values))
    settings = load_settings(store=store)
    found = run_on_store(settings, lambda store: store.occurrences(forms))
    click.echo(f"{len(values)} value{'s' if len(values) != 1 else ''} in {len(forms)} forms, at {now()} ms since 1970")
    for place, count in found.items():
        click.echo(f"{place}: {count}")
    click.echo("found" if found else "found nowhere")
    if found and not any(place.startswith("table") for place in found):
        click.echo("no table has it: `erasure compact` removes what SQLite left in free space", err=True)
    if found:
        raise SystemExit(1)


@erasure.command()
@setting("store")
def compact(store: str | None) -> None:
    """Write the store anew, without what it removed. Requests wait meanwhile: run it when there are few.

    From this version on, SQLite overwrites what it removes. Run it once for what an earlier version removed, and when
    `erasure verify` finds a value in the file that no table has.
    """
    run_on_store(load_settings(store=store), lambda store: store.compact())
    click.echo("the store is compact")


async def _erase(store: Store, settings: Settings, id: int, key: tuple[Identity, ...]) -> int:
    database = find_database(await store.databases(), id)
    pseudonym = await open_pseudonyms(store, settings.secret_file)
    result = await erase_person(store, database, key, Origin(TOKEN_ID, "", now()), pseudonym, "all")
    return len(result.writes)
