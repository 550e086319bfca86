"""The requests that are sent, rendered beforehand: the seed's two examples, once for each profile and each value.

Who it is about and some values change, so that every update does change what is stored. Lengths hardly do.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

TOKEN = "abcdefghijklmnqrstuvwxyz"
"""The token of the seed's examples."""

FIXTURES = Path(__file__).parents[1] / "fixtures" / "altcraft"

SEEDS = {
    media: (FIXTURES / f"updates-by-the-seeds-{media}-body" / f"request.{media}").read_text()
    for media in ("json", "xml")
}

_values = itertools.count()


def update(media: str, number: int, value: int) -> str:
    """The seed's example in a media type, about the profile of a number."""
    replaced = {
        "example@example.com": f"p{number:06}@example.com",
        "+79000000000": f"+79{number:09}",
        "+79511059000": f"+79{number:09}",
        "a81c264a938b475": f"a81c264{number:08}",
        "174302": f"{100_000 + number}",
        "Lambert": f"Lambert{value % 100:02}",
        "LastName": f"LastName{value % 100:02}",
        "custom_value": f"custom_{value:07}",
        "1230000": f"{1_000_000 + value}",
    }
    text = SEEDS[media]
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def imports(media: str, numbers: Iterable[int]) -> Iterator[bytes]:
    """Requests that make profiles."""
    value = next(_values)
    for number in numbers:
        yield post("/api/v1.1/profiles/import/", media, update(media, number, value))


def updates(media: str, numbers: Iterable[int]) -> Iterator[bytes]:
    """Requests that change profiles in turn, twice each; sent again and again, each still changes something."""
    numbers = list(numbers)
    for value in (next(_values), next(_values)):
        for number in numbers:
            yield post("/api/v1.1/profiles/update/", media, update(media, number, value))


def post(path: str, media: str, body: str) -> bytes:
    """A request as it goes over the wire."""
    content = body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/{media}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
