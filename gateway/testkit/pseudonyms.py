"""Pseudonyms: replaces a personal value with another of the same kind and form, always the same one. Pure.

A value is personal by the name of its member, by its form (e-mail addresses, phones, ids, signed tokens), or because
it was replaced before. Values that were replaced before are also found in texts, paths and queries.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from gateway.core.model import Tree

TOKEN, SIGNATURE, COMPANY, EMAIL, PHONE, NAME, DATE, IP, ID, PLACE, LINK, NUMBER = (
    *("token", "signature", "company", "email", "phone", "name", "date", "ip", "id", "place", "link", "number"),
)

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("token", "api_key", "access_token", "secret", "password", "authorization", "cookie"), TOKEN),
    **dict.fromkeys(("signature", "sig", "hmac"), SIGNATURE),
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
"""The kind of a value by the name of its member in any dialect, without a leading underscore."""

FIRST_TOKEN, FIRST_COMPANY = "abcdefghijklmnqrstuvwxyz", "demo"
"""The token and company of the embedded gateway, so that recorded cases run against it."""

SIGNATURE_WORDS = ("signature", "digest", "hmac")
"""Words in the names of headers that are computed from a secret, or from the body, which the case replaces."""

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ines", "Jan", "Kira", "Leo")

HEX_ID, UUID = "[0-9a-f]{24}", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IN_ADDRESS = r"[^\s\"'<>@,;:/?&=(){}\[\]]"
# The look-behinds keep the search linear: a candidate is tried only at its first character.
_PERSONAL_FORMS = re.compile(
    r"(?P<token>(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+)"
    rf"|(?P<email>(?<!{_IN_ADDRESS}){_IN_ADDRESS}+@{_IN_ADDRESS}+\.\w{{2,}})"
    r"|(?P<phone>\+\d[\d ()-]{6,}\d)"
    rf"|(?P<id>(?<![0-9a-f-])(?:{UUID}|{HEX_ID})(?![0-9a-f-]))"
)
_WORD = re.compile(r"\w+")

MIN_KNOWN_LENGTH = 3
"""Shorter values are not searched for in texts, where they would match by chance."""


class Pseudonyms:
    """The values replaced so far, and their pseudonyms. `personal` names further members with personal values."""

    def __init__(self, personal: Iterable[str] = ()) -> None:
        self._kinds = {**KINDS, **dict.fromkeys((_normalize_name(name) for name in personal), ID)}
        self._numbers: dict[str, dict[str, int]] = {}
        self._known: dict[str, str] = {}
        self._own: set[str] = set()
        self._by_word: dict[str, list[str]] = {}

    def tree(self, value: Tree, name: str = "") -> Tree:
        """Return a parsed body with every personal value replaced; `name` is the name of its member."""
        if isinstance(value, dict):
            return {
                self._replace_forms(member): self.tree(inner, _kind_name(member, value, name))
                for member, inner in value.items()
            }
        if isinstance(value, list):
            return [self.tree(item, name) for item in value]
        return self.value(name, value)

    def value(self, name: str, value: Tree) -> Tree:
        """Return one leaf, replaced by the name of its member. Numbers stay numbers; booleans and null are kept."""
        kind = self._kinds.get(_normalize_name(name))
        if isinstance(value, bool) or value is None or value == "":
            return value
        if isinstance(value, str):
            return self.text(value) if kind is None else self._pseudonym(kind, value)
        if kind is None:
            return value
        if kind == PHONE and isinstance(value, int):
            return int(self._pseudonym(PHONE, str(value)).lstrip("+"))
        return self._replace_number(kind, value)

    def text(self, text: str) -> str:
        """Return a text with every value replaced that was replaced before or has a personal form."""
        return self._replace_known(self._replace_forms(text))

    def header(self, name: str, value: str) -> str:
        """Return the value of a header, replaced; a credential keeps its scheme."""
        if name in ("authorization", "proxy-authorization"):
            scheme, _, secret = value.partition(" ") if " " in value else ("", "", value)
            return f"{scheme} {self._replace_secret(scheme, secret)}".strip()
        if any(word in name for word in SIGNATURE_WORDS):
            return self._pseudonym(SIGNATURE, value)
        is_secret = any(word in name for word in ("token", "key", "secret", "cookie")) and name != "idempotency-key"
        return self._pseudonym(TOKEN, value) if is_secret else self.text(value)

    def target(self, target: str, named: Mapping[str, str]) -> str:
        """Return a path and query, replaced; `named` are the parameters in the path, in their encoded form."""
        path, mark, query = target.partition("?")
        for name, raw in named.items():
            path = path.replace(raw, quote(str(self.value(name, unquote(raw))), safe="@+:"))
        parts = [self._replace_parameter(*each.partition("=")) for each in query.split("&")] if mark else []
        return self._replace_steps(path) + mark + "&".join(parts)

    def _replace_forms(self, text: str) -> str:
        return _PERSONAL_FORMS.sub(lambda found: self._pseudonym(str(found.lastgroup), found[0]), text)

    def _replace_parameter(self, name: str, sign: str, value: str) -> str:
        plain = unquote_plus(value)
        replaced = str(self.value(unquote_plus(name), plain))
        return name + sign + (value if replaced == plain else quote(replaced, safe=""))

    def _replace_steps(self, path: str) -> str:
        steps = [(step, unquote(step), self.text(unquote(step))) for step in path.split("/")]
        return "/".join(step if replaced == plain else quote(replaced, safe="@+:") for step, plain, replaced in steps)

    def _replace_secret(self, scheme: str, secret: str) -> str:
        if scheme.lower() != "basic":
            return self._pseudonym(TOKEN, secret)
        try:
            user, colon, password = base64.b64decode(secret).decode().partition(":")
        except ValueError:
            return self._pseudonym(TOKEN, secret)
        replaced = self._pseudonym(TOKEN, user) + colon + (password and self._pseudonym(TOKEN, password))
        return base64.b64encode(replaced.encode()).decode()

    def _pseudonym(self, kind: str, value: str) -> str:
        if value in self._own:  # a pseudonym
            return value
        replacement = _MAKE[kind](self._number_of(kind, _normalize(kind, value)), value)
        self._own.add(replacement)
        if len(value) >= MIN_KNOWN_LENGTH and self._known.get(value) != replacement:
            self._remember(value, replacement)
        return replacement

    def _remember(self, value: str, replacement: str) -> None:
        """Index a value by its first word, so that a text is searched once for any number of values."""
        word = _WORD.search(value)
        if word and value not in self._known:
            alike = self._by_word.setdefault(word[0], [])
            alike.append(value)
            alike.sort(key=len, reverse=True)
        self._known[value] = replacement

    def _replace_known(self, text: str) -> str:
        """Return a text with every value replaced that was replaced before and is a word of its own in it."""
        parts, done = [], 0
        for word in _WORD.finditer(text):
            for value in self._by_word.get(word[0], ()):
                start = word.start() - value.index(word[0])
                if start >= done and text.startswith(value, start) and _is_separate(text, start, start + len(value)):
                    parts += [text[done:start], self._known[value]]
                    done = start + len(value)
                    break
        return "".join([*parts, text[done:]])

    def _replace_number(self, kind: str, value: int | float) -> int | float:
        number = self._number_of(kind, str(value))
        return number if isinstance(value, int) else number + 0.5

    def _number_of(self, kind: str, value: str) -> int:
        """Return the number of a value among those of its kind, from 1, in order of appearance."""
        numbers = self._numbers.setdefault(kind, {})
        return numbers.setdefault(value, len(numbers) + 1)


def _is_separate(text: str, start: int, end: int) -> bool:
    """Return whether a range of a text is not part of a longer word or address."""
    return text[start - 1 : start] != "@" and not _WORD.match(text, end)


def _kind_name(member: str, container: Mapping[str, Any], above: str) -> str:
    """Return the name that determines the kind of a member: of an update function or JSON Patch, that of its field."""
    if member == "value" and "action" in container:
        return above
    if member == "value" and isinstance(container.get("path"), str):
        return str(container["path"]).rpartition("/")[2]
    return member


def _normalize_name(name: str) -> str:
    return name.lower().replace("-", "_").lstrip("_")


def _normalize(kind: str, value: str) -> str:
    """Spellings of one value are one value."""
    if kind == PHONE:
        return re.sub(r"\D", "", value)
    return value.casefold() if kind == EMAIL else value


def _phone(number: int, value: str) -> str:
    plus = "+" if value.strip().startswith(("+", "tel:")) else ""
    return f"{plus}7900{number:07d}"


def _date(number: int, value: str) -> str:
    """Return another day in the same format."""
    year = iter([f"{1950 + number % 50}"])
    return re.sub(r"\d{4}|\d{2}", lambda found: next(year, "0101") if len(found[0]) == 4 else "01", value, count=3)


def _id(number: int, value: str) -> str:
    if re.fullmatch(HEX_ID, value):
        return f"{number:024x}"
    if re.fullmatch(UUID, value):
        return f"00000000-0000-4000-8000-{number:012x}"
    return str(number) if value.isdigit() else f"id-{number}"


_MAKE: Mapping[str, Callable[[int, str], str]] = {
    TOKEN: lambda number, _: FIRST_TOKEN if number == 1 else f"token-{number}",
    SIGNATURE: lambda number, _: f"signature-{number}",
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
