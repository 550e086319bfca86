"""Altcraft's requests, rendered before they are sent: the first example of each media type, for each profile and value.

Some values change, so that every update changes what is stored; lengths stay about the same. The two media types name
different people, so that their measurements do not disturb each other.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

TOKEN = "abcdefghijklmnqrstuvwxyz"
"""The token of Altcraft's examples."""

CALLS = "/api/v1.1/profiles"
FIXTURES = Path(__file__).parents[1] / "fixtures" / "altcraft"
EXAMPLES = {
    media: (FIXTURES / f"updates-by-the-seeds-{media}-body" / f"request.{media}").read_text()
    for media in ("json", "xml")
}

EMAILS = {"json": "j{:06}@example.com", "xml": "x{:06}@example.com"}
FIRST_PHONES = {"json": 79_000_000_000, "xml": 79_250_000_000}
PHONE_LISTS = {"json": '"phones": ["{}"]', "xml": "<phones>{}</phones>"}
OTHER_PHONE = 500_000_000
"""What a profile's other phone is greater by. All these are valid numbers of mobile phones."""

BATCHES = {
    "json": f'{{"token":"{TOKEN}","db_id":1,"matching":"email","data":[%s]}}',
    "xml": f"<xml><token>{TOKEN}</token><db_id>1</db_id><matching>email</matching>%s</xml>",
}
ELEMENTS = {
    "json": (
        '{{"email":"{email}","phones":["{phone}"],"_fname":"Olly","_lname":"Lambert",'
        '"_bdate":"1990-02-22","custom_field":"custom_{value:07}"}},'
    ),
    "xml": (
        "<data array='true'><email>{email}</email><phones array='true'>{phone}</phones>"
        "<_fname>Olly</_fname><_lname>Lambert</_lname><_bdate>1990-02-22</_bdate>"
        "<custom_field>custom_{value:07}</custom_field></data>"
    ),
}

_values = itertools.count()


def imports(media: str, numbers: Iterable[int]) -> Iterator[bytes]:
    """Requests that create profiles, or update them."""
    value = next(_values)
    for number in numbers:
        yield post(f"{CALLS}/import/", media, _message(media, number, value))


def updates(media: str, numbers: Sequence[int]) -> Iterator[bytes]:
    """Requests that update profiles in turn, twice each; sent again and again, each still changes something."""
    for value, number in twice(numbers):
        yield post(f"{CALLS}/update/", media, _message(media, number, value))


def phone_changes(media: str, numbers: Sequence[int]) -> Iterator[bytes]:
    """The same, and each gives the profile another phone."""
    listed = PHONE_LISTS[media]
    for value, number in twice(numbers):
        old, new = (_phone(media, number + other) for other in (0, value % 2 * OTHER_PHONE))
        message = _message(media, number, value).replace(listed.format(old), listed.format(new))
        yield post(f"{CALLS}/update/", media, message)


def functions(media: str, numbers: Sequence[int]) -> Iterator[bytes]:
    """Requests that update profiles in turn by all six functions, twice each."""
    for value, number in twice(numbers):
        yield post(f"{CALLS}/update/", media, _text(media, _match(media, number) | {"data": _functions(value)}))


def gets(media: str, numbers: Iterable[int]) -> Iterator[bytes]:
    """Requests that read profiles in turn."""
    for number in numbers:
        yield post(f"{CALLS}/get/", media, _text(media, _match(media, number)))


def batches(call: str, media: str, size: int, numbers: Sequence[int]) -> Iterator[bytes]:
    """Requests of `size` profiles each, which hold six fields and are matched by e-mail."""
    for first in range(0, len(numbers), size):
        value = next(_values)
        elements = [
            ELEMENTS[media].format(email=EMAILS[media].format(number), phone=_phone(media, number), value=value)
            for number in numbers[first : first + size]
        ]
        yield post(f"{CALLS}/{call}_batch/", media, BATCHES[media] % "".join(elements).rstrip(","))


def twice(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """A value and a number: for each profile a new value, then for each the next value."""
    for value in (next(_values), next(_values)):
        for number in numbers:
            yield value, number


def post(path: str, media: str, body: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A POST request as it is sent."""
    content = body.encode()
    own = {"Host": "127.0.0.1", "Content-Type": f"application/{media}", "Content-Length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in (own | dict(headers or {})).items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


def _phone(media: str, number: int) -> str:
    return f"+{FIRST_PHONES[media] + number}"


def _message(media: str, number: int, value: int) -> str:
    """The example of a media type, about the profile of a number."""
    email, phone = EMAILS[media].format(number), _phone(media, number)
    replaced = {
        "example@example.com": email,
        "+79000000000": phone,
        "+79511059000": phone,
        "a81c264a938b475": f"a81c264{number:08}",
        "174302": f"{100_000 + number}",
        "Lambert": f"Lambert{value % 100:02}",
        "LastName": f"LastName{value % 100:02}",
        "custom_value": f"custom_{value:07}",
        "1230000": f"{1_000_000 + value}",
    }
    text = EXAMPLES[media]
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def _match(media: str, number: int) -> dict[str, Any]:
    return {"token": TOKEN, "db_id": 1, "matching": "email", "email": EMAILS[media].format(number)}


def _functions(value: int) -> dict[str, Any]:
    """All six functions. The next value removes what this one adds, and the reverse: profiles do not grow."""
    is_odd = bool(value % 2)
    return {
        f"tariff_{is_odd:d}": {"action": "set", "value": f"tariff_{value:07}"},
        f"tariff_{not is_odd:d}": {"action": "unset"},
        f"interests_{is_odd:d}": {"action": "add", "value": ["sport"]},
        f"interests_{not is_odd:d}": {"action": "delete", "value": ["sport"]},
        "visits": {"action": "incr", "value": 1},
        "car": {"action": "upsert", "submatch": "model.year", "value": f"{value:07}"},
    }


def _text(media: str, message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":")) if media == "json" else f"<xml>{_elements(message)}</xml>"


def _elements(message: Mapping[str, Any]) -> str:
    return "".join(_element(name, value) for name, value in message.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"<{name}>{_elements(value)}</{name}>"
    if isinstance(value, list):
        return "".join(f"<{name} array='true'>{item}</{name}>" for item in value)
    return f"<{name}>{value}</{name}>"
