"""The requests that are sent, rendered beforehand: the seed's two examples, once for each profile and each value.

Who it is about and some values change, so that every update does change what is stored. Lengths hardly do.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

TOKEN = "abcdefghijklmnqrstuvwxyz"
"""The token of the seed's examples."""

FIXTURES = Path(__file__).parents[1] / "fixtures" / "altcraft"

SEEDS = {
    media: (FIXTURES / f"updates-by-the-seeds-{media}-body" / f"request.{media}").read_text()
    for media in ("json", "xml")
}

BATCHES = {
    "json": f'{{"token":"{TOKEN}","db_id":1,"matching":"email","data":[%s]}}',
    "xml": f"<xml><token>{TOKEN}</token><db_id>1</db_id><matching>email</matching>%s</xml>",
}
ELEMENTS = {
    "json": (
        '{{"email":"p{number:06}@example.com","phones":["+79{number:09}"],"_fname":"Olly","_lname":"Lambert",'
        '"_bdate":"1990-02-22","custom_field":"custom_{value:07}"}},'
    ),
    "xml": (
        "<data array='true'><email>p{number:06}@example.com</email><phones array='true'>+79{number:09}</phones>"
        "<_fname>Olly</_fname><_lname>Lambert</_lname><_bdate>1990-02-22</_bdate>"
        "<custom_field>custom_{value:07}</custom_field></data>"
    ),
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


def batches(call: str, media: str, size: int, numbers: Sequence[int]) -> Iterator[bytes]:
    """Requests of so many profiles each, which hold six fields and are matched by e-mail."""
    for first in range(0, len(numbers), size):
        value = next(_values)
        elements = [ELEMENTS[media].format(number=number, value=value) for number in numbers[first : first + size]]
        yield post(f"/api/v1.1/profiles/{call}_batch/", media, BATCHES[media] % "".join(elements).rstrip(","))


def post(path: str, media: str, body: str) -> bytes:
    """A request as it goes over the wire."""
    content = body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/{media}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
