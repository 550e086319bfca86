"""Another process on the same store: `python -m tests.stores.child TASK URL [NUMBER]`. Its output says how far it is.

Each task is ready before it waits for a line on its input, so that several can begin at the same moment.
"""

import asyncio
import os
import sys

import apsw

from gateway.stores import open_store
from tests.stores import PAUSE, change, counting, creating


async def create(url: str, number: str) -> None:
    """Creates so many identities one by one, unless they exist; says the id of the profile that each has."""
    store = await open_store(url)
    wait()
    for key in [("email", f"{n}@example.com") for n in range(int(number))]:
        edit = creating(f"{key[1]} of {os.getpid()}", key, pause=PAUSE)
        [answer] = await store.change([change(edit, key)])
        say(answer.profile.id)
        if answer.writes:
            await asyncio.sleep(5 * PAUSE)  # whoever created one lets the others be first at the next
    await store.close()


async def count(url: str, number: str) -> None:
    """Counts so many profiles up without end; says each acknowledged step: whose it was, and how far."""
    store = await open_store(url)
    wait()

    async def counting_up(n: int) -> None:
        key = ("email", f"{n}@example.com")
        await store.change([change(creating(key[1], key, n=0), key)])
        while True:
            [answer] = await store.change([change(counting(key), key)])
            say(f"{n} {answer.profile.document['n']}")

    await asyncio.gather(*(counting_up(n) for n in range(int(number))))


async def make(url: str) -> None:
    """Opens a store that may not be there yet."""
    wait()
    store = await open_store(url)
    await store.ready()
    await store.close()
    say("made")


async def hold(file: str) -> None:
    """Holds the write lock of a file until the next line."""
    connection = apsw.Connection(file)
    wait()
    connection.execute("BEGIN IMMEDIATE")
    wait()
    connection.execute("COMMIT")


def wait() -> None:
    say("ready")
    sys.stdin.readline()


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    asyncio.run({"create": create, "count": count, "make": make, "hold": hold}[task](*arguments))
