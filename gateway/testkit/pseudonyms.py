"""Stand-ins: the same value is always replaced by the same other one, of the same kind and shape. Pure.

A value is known by the name of its member, by its looks (e-mail addresses, phones, ids, signed tokens), or because it
was replaced before: so it is found again in texts, paths and queries, in both directions.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from gateway.core.model import Tree

TOKEN, COMPANY, EMAIL, PHONE, NAME, DATE, IP, ID, PLACE, LINK, NUMBER = (
    *("token", "company", "email", "phone", "name", "date", "ip", "id", "place", "link", "number"),
)

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("token", "api_key", "access_token", "secret", "password", "authorization", "cookie"), TOKEN),
    "company_id": COMPANY,
    "email": EMAIL,
    **dict.fromkeys(("phone", "phones", "phone_number", "phone_numbers"), PHONE),
    **dict.fromkeys(("fname", "lname", "mname", "given_name", "family_name", "middle_name"), NAME),
    **dict.fromkeys(("first_name", "last_name", "name", "nickname"), NAME),
    **dict.fromkeys(("bdate", "birthdate", "birthday"), DATE),
    "ip": IP,
    **dict.fromkeys(("external_id", "recipient_id", "customer_id", "anonymous_id", "profile_id"), ID),
    **dict.fromkeys(("field_value", "subscription_id", "user_id", "_kx", "sub"), ID),
    **dict.fromkeys(("city", "locality", "region", "postal_code", "zip", "street_address", "formatted"), PLACE),
    **dict.fromkeys(("address", "address1", "address2"), PLACE),
    **dict.fromkeys(("picture", "image", "website", "profile_url"), LINK),
    **dict.fromkeys(("latitude", "longitude"), NUMBER),
}
"""The kind of a member's value, by its name in any dialect, without a leading underscore."""

FIRST_TOKEN, FIRST_COMPANY = "abcdefghijklmnqrstuvwxyz", "demo"
"""What the gateway of a case knows, so that a recording can be held against one."""

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ines", "Jan", "Kira", "Leo")

HEX, UUID = "[0-9a-f]{24}", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IN_ADDRESS = r"[^\s\"'<>@,;:/?&=(){}\[\]]"
# What may be long is looked for from its beginning alone: or a long text would be read as often as it has characters.
_LOOKS = re.compile(
    r"(?P<token>(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+)"
    rf"|(?P<email>(?<!{_IN_ADDRESS}){_IN_ADDRESS}+@{_IN_ADDRESS}+\.\w{{2,}})"
    r"|(?P<phone>\+\d[\d ()-]{6,}\d)"
    rf"|(?P<id>(?<![0-9a-f-])(?:{UUID}|{HEX})(?![0-9a-f-]))"
)
_WORD = re.compile(r"\w+")

SHORTEST = 3
"""Shorter values are not looked for inside of texts: they stand there by chance."""


class StandIns:
    """What has been replaced so far, and by what. `personal` are names of members that hold personal values too."""

    def __init__(self, personal: Iterable[str] = ()) -> None:
        self._kinds = {**KINDS, **dict.fromkeys((_plain(name) for name in personal), ID)}
        self._numbers: dict[str, dict[str, int]] = {}
        self._known: dict[str, str] = {}
        self._own: set[str] = set()
        self._by_word: dict[str, list[str]] = {}

    def tree(self, value: Tree, name: str = "") -> Tree:
        """A decoded body with every personal value replaced; `name` is the member that it stands in."""
        if isinstance(value, dict):
            return {
                self._looked(member): self.tree(inner, _name(member, value, name)) for member, inner in value.items()
            }
        if isinstance(value, list):
            return [self.tree(item, name) for item in value]
        return self.value(name, value)

    def value(self, name: str, value: Tree) -> Tree:
        """One leaf, by the name of its member. Numbers stay numbers; booleans and null tell of nobody."""
        kind = self._kinds.get(_plain(name))
        if isinstance(value, bool) or value is None or value == "":
            return value
        if isinstance(value, str):
            return self.text(value) if kind is None else self._stand_in(kind, value)
        if kind is None:
            return value
        if kind == PHONE and isinstance(value, int):
            return int(self._stand_in(PHONE, str(value)).lstrip("+"))
        return self._number(kind, value)

    def text(self, text: str) -> str:
        """A text in which everything that is known or looks personal is replaced."""
        return self._recognised(self._looked(text))

    def header(self, name: str, value: str) -> str:
        """A header's value: a credential keeps its scheme."""
        if name == "authorization":
            scheme, _, secret = value.rpartition(" ")
            return f"{scheme} {self._secret(scheme, secret)}".strip()
        is_secret = any(word in name for word in ("token", "key", "secret", "cookie")) and name != "idempotency-key"
        return self._stand_in(TOKEN, value) if is_secret else self.text(value)

    def target(self, target: str, named: Mapping[str, str]) -> str:
        """A path and query; `named` are the values in the path that a call gives names to, as they stand there."""
        path, mark, query = target.partition("?")
        for name, raw in named.items():
            path = path.replace(raw, quote(str(self.value(name, unquote(raw))), safe="@+:"))
        parts = [self._part(*each.partition("=")) for each in query.split("&")] if mark else []
        return self._quoted(path) + mark + "&".join(parts)

    def _looked(self, text: str) -> str:
        return _LOOKS.sub(lambda found: self._stand_in(str(found.lastgroup), found[0]), text)

    def _part(self, name: str, sign: str, value: str) -> str:
        plain = unquote_plus(value)
        said = str(self.value(unquote_plus(name), plain))
        return name + sign + (value if said == plain else quote(said, safe=""))

    def _quoted(self, path: str) -> str:
        said = [(step, unquote(step), self.text(unquote(step))) for step in path.split("/")]
        return "/".join(step if told == plain else quote(told, safe="@+:") for step, plain, told in said)

    def _secret(self, scheme: str, secret: str) -> str:
        if scheme.lower() != "basic":
            return self._stand_in(TOKEN, secret)
        try:
            user, colon, password = base64.b64decode(secret).decode().partition(":")
        except ValueError:
            return self._stand_in(TOKEN, secret)
        said = self._stand_in(TOKEN, user) + colon + (password and self._stand_in(TOKEN, password))
        return base64.b64encode(said.encode()).decode()

    def _stand_in(self, kind: str, value: str) -> str:
        if value in self._own:  # it is one already
            return value
        made = _MAKE[kind](self._counted(kind, _normal(kind, value)), value)
        self._own.add(made)
        if len(value) >= SHORTEST and self._known.get(value) != made:
            self._learn(value, made)
        return made

    def _learn(self, value: str, made: str) -> None:
        """Keeps a value by its first word, so that a text is looked through once, however many are known."""
        word = _WORD.search(value)
        if word and value not in self._known:
            alike = self._by_word.setdefault(word[0], [])
            alike.append(value)
            alike.sort(key=len, reverse=True)
        self._known[value] = made

    def _recognised(self, text: str) -> str:
        """A text with the values in it that are known, where they stand as words of their own."""
        parts, done = [], 0
        for word in _WORD.finditer(text):
            for value in self._by_word.get(word[0], ()):
                start = word.start() - value.index(word[0])
                if start >= done and text.startswith(value, start) and _stands_alone(text, start, start + len(value)):
                    parts += [text[done:start], self._known[value]]
                    done = start + len(value)
                    break
        return "".join([*parts, text[done:]])

    def _number(self, kind: str, value: int | float) -> int | float:
        number = self._counted(kind, str(value))
        return number if isinstance(value, int) else number + 0.5

    def _counted(self, kind: str, value: str) -> int:
        """The number of a value among those of its kind, from 1, in order of appearance."""
        numbers = self._numbers.setdefault(kind, {})
        return numbers.setdefault(value, len(numbers) + 1)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a place in a text is no part of a longer word or address."""
    return text[start - 1 : start] != "@" and not _WORD.match(text, end)


def _name(member: str, holder: Mapping[str, Any], above: str) -> str:
    """The name that tells what a member's value is: for an update function or a JSON Patch, that of its field."""
    if member == "value" and "action" in holder:
        return above
    if member == "value" and isinstance(holder.get("path"), str):
        return str(holder["path"]).rpartition("/")[2]
    return member


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").lstrip("_")


def _normal(kind: str, value: str) -> str:
    """Spellings of one value are one value."""
    if kind == PHONE:
        return re.sub(r"\D", "", value)
    return value.casefold() if kind == EMAIL else value


def _phone(number: int, value: str) -> str:
    plus = "+" if value.strip().startswith(("+", "tel:")) else ""
    return f"{plus}7900{number:07d}"


def _date(number: int, value: str) -> str:
    """Another day, written in the same way."""
    year = iter([f"{1950 + number % 50}"])
    return re.sub(r"\d{4}|\d{2}", lambda found: next(year, "0101") if len(found[0]) == 4 else "01", value, count=3)


def _id(number: int, value: str) -> str:
    if re.fullmatch(HEX, value):
        return f"{number:024x}"
    if re.fullmatch(UUID, value):
        return f"00000000-0000-4000-8000-{number:012x}"
    return str(number) if value.isdigit() else f"id-{number}"


_MAKE: Mapping[str, Callable[[int, str], str]] = {
    TOKEN: lambda number, _: FIRST_TOKEN if number == 1 else f"token-{number}",
    COMPANY: lambda number, _: FIRST_COMPANY if number == 1 else f"company-{number}",
    EMAIL: lambda number, _: f"person{number}@example.com",
    PHONE: _phone,
    NAME: lambda number, _: NAMES[(number - 1) % len(NAMES)] + (str((number - 1) // len(NAMES)) if number > 12 else ""),
    DATE: _date,
    IP: lambda number, value: f"2001:db8::{number:x}" if ":" in value else f"192.0.2.{number % 254 + 1}",
    ID: _id,
    PLACE: lambda number, value: f"{number:0{len(value)}d}" if value.isdigit() else f"Place {number}",
    LINK: lambda number, _: f"https://www.example.com/{number}",
    NUMBER: lambda number, _: f"{number}.5",
}
