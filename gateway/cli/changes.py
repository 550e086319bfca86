"""The command `changes`: the feed of a database, as JSON lines."""

import sys
from contextlib import suppress
from functools import partial

import click
import orjson

from gateway.cli.options import DATABASE, setting
from gateway.cli.store import find_database, load_settings, run_on_store
from gateway.core.faults import Refusal
from gateway.feed.cursors import parse_feed_cursor
from gateway.feed.events import Selection
from gateway.feed.pages import read_page
from gateway.feed.watch import JournalWatch
from gateway.stores.protocol import Store

READ_EVENTS = 500
"""Events that are read and printed at once."""

WAIT_SECONDS = 60.0


@click.command("changes")
@setting("store")
@DATABASE
@click.option(
    "--after", default="", metavar="CURSOR", help="the id of the last event received; the oldest kept if omitted"
)
@click.option("--follow", is_flag=True, help="wait for further changes, until interrupted")
@click.option("--values", is_flag=True, help="print the values before and after")
@click.option("--all", "has_all", is_flag=True, help="print changes with skip_triggers too")
def changes(store: str | None, database: int, after: str, follow: bool, values: bool, has_all: bool) -> None:
    """Print the changes of a database, oldest first: one event (CloudEvents, JSON) a line."""
    selection = Selection(values=values, all=has_all)
    print_all = partial(_print_events, database=database, after=after, follow=follow, selection=selection)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        run_on_store(load_settings(store=store), print_all)


async def _print_events(store: Store, database: int, after: str, follow: bool, selection: Selection) -> None:
    find_database(await store.databases(), database)
    watch = JournalWatch(store)
    try:
        position = await parse_feed_cursor(after, store, database)
    except Refusal as refusal:
        raise click.ClickException(f"--after: {refusal.faults[0].text}") from None
    while True:
        page = await read_page(store, database, position, READ_EVENTS, selection)
        position = page.position
        for event in page.events:
            sys.stdout.buffer.write(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
        if not page.events:
            if not follow:
                return
            await watch.wait(database, position, WAIT_SECONDS)
