"""Another process on the same store: `python -m tests.stores.child TASK URL [NUMBER]`. It prints its progress.

Each task prints "ready" and waits for a line on its input, so that several can begin at the same moment.
"""

import asyncio
import os
import sys

import apsw

from gateway.stores import open_store
from tests.stores import PAUSE, change, create, increment


async def create_profiles(url: str, number: str) -> None:
    """Create `number` identities one by one, unless they exist. Print the id of each one's profile."""
    store = await open_store(url, create=True)
    wait_for_line()
    for key in [("email", f"{n}@example.com") for n in range(int(number))]:
        edit = create(f"{key[1]} of {os.getpid()}", key, pause=PAUSE)
        [answer] = await store.change([change(edit, key)])
        print_line(answer.profile.id)
        if answer.writes:
            await asyncio.sleep(5 * PAUSE)  # so that another process may create the next one
    await store.close()


async def increment_profiles(url: str, number: str) -> None:
    """Increment `number` profiles without end. Print each acknowledged step: the profile, and its number."""
    store = await open_store(url, create=True)
    wait_for_line()

    async def increment_without_end(n: int) -> None:
        key = ("email", f"{n}@example.com")
        await store.change([change(create(key[1], key, n=0), key)])
        while True:
            [answer] = await store.change([change(increment(key), key)])
            print_line(f"{n} {answer.profile.document['n']}")

    await asyncio.gather(*(increment_without_end(n) for n in range(int(number))))


async def open_and_close(url: str) -> None:
    """Open a store that may not exist."""
    wait_for_line()
    store = await open_store(url, create=True)
    await store.ready()
    await store.close()
    print_line("opened")


async def lock(file: str) -> None:
    """Keep the write lock of a file until the next line."""
    connection = apsw.Connection(file)
    wait_for_line()
    connection.execute("BEGIN IMMEDIATE")
    wait_for_line()
    connection.execute("COMMIT")


def wait_for_line() -> None:
    print_line("ready")
    sys.stdin.readline()


def print_line(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    tasks = {"create": create_profiles, "increment": increment_profiles, "open": open_and_close, "lock": lock}
    asyncio.run(tasks[task](*arguments))
