"""Klaviyo's requests that read, to canonical queries: filter, sort, sparse fields and pages."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.dialects.klaviyo.fields import IDENTIFIERS
from gateway.dialects.klaviyo.jobs import IMPORTS, Kind
from gateway.dialects.klaviyo.jsonapi.links import about, about_jobs, base, cursor_of, parameters, size_of, wrong
from gateway.dialects.klaviyo.requests import NOTHING_SEARCHED
from gateway.dialects.klaviyo.times import time_in
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

COMPARED = ("greater-than", "greater-or-equal", "less-than", "less-or-equal")
NAMED = ("equals", "any")
OPERATORS = {
    **dict.fromkeys(("id", "email", "phone_number", "external_id"), NAMED),
    "_kx": ("equals",),
    **dict.fromkeys(("created", "updated"), COMPARED),
}
"""What each field may be filtered by."""

SORTED = ("id", "created", "updated", "email")


def one(incoming: Request) -> ParsedRequest:
    """Reads `GET /api/profiles/{id}`."""
    match = {"mode": "profile_id", "values": {"profile_id": incoming.path["id"]}}
    return ParsedRequest(None, [ParsedCommand({"match": match})], about(incoming))


def related(incoming: Request) -> ParsedRequest:
    """Reads `GET /api/profiles/{id}/lists` and its like: all of them fit one page."""
    match = {"mode": "profile_id", "values": {"profile_id": incoming.path["id"]}}
    return ParsedRequest(None, [ParsedCommand({"match": match})], {"base": base(incoming), "target": incoming.target})


def profiles(incoming: Request) -> ParsedRequest:
    """Reads `GET /api/profiles`: which of them, in which order, and from where on."""
    given = parameters(incoming)
    query: dict[str, Any] = {}
    for condition in conditions(given.get("filter", ""), OPERATORS):
        _narrow(query, condition)
    query |= _page(given, "id", SORTED)
    return _asked(given, query, about(incoming))


def listing(given: dict[str, str], named: dict[str, Any], told: dict[str, Any]) -> ParsedRequest:
    """The canonical query of a page of profiles, which `named` may narrow; a reply is told the rest."""
    return _asked(given, {**named, **_page(given, "id", ("id",))}, told)


def jobs(kind: Kind) -> Callable[[Request], ParsedRequest]:
    """Reads `GET /api/profile-bulk-import-jobs` and its like, the latest first."""

    def read(incoming: Request) -> ParsedRequest:
        given = parameters(incoming)
        filtered = conditions(given.get("filter", ""), {"status": NAMED})
        sort = given.get("sort", "-created_at").replace("created_at", "created")
        query = {**_page({**given, "sort": sort}, "created", ("created",)), **_of(kind)}
        hidden = any("complete" not in condition.values for condition in filtered)
        return _asked(given, query, {**about_jobs(incoming, kind.type, kind.attributes), "hidden": hidden})

    return read


def job(kind: Kind) -> Callable[[Request], ParsedRequest]:
    """Reads `GET /api/profile-bulk-import-jobs/{id}` and its like, and what came of its profiles, page by page."""

    def read(incoming: Request) -> ParsedRequest:
        given = parameters(incoming)
        cursor = cursor_of(given, "number")
        page = {"offset": int(cursor[1]) if cursor else 0, "limit": size_of(given)}
        query = {"job": incoming.path["id"], **page, **_of(kind)}
        told = {**about_jobs(incoming, kind.type, kind.attributes), "skip": query["offset"], "size": query["limit"]}
        return ParsedRequest(None, [ParsedCommand({"match": NOTHING_SEARCHED, "query": query})], told)

    return read


def _of(kind: Kind) -> dict[str, Any]:
    """What a query says of a kind; imports are what is meant where nothing is said."""
    return {} if kind is IMPORTS else {"kind": kind.name}


def _asked(given: dict[str, str], query: dict[str, Any], told: dict[str, Any]) -> ParsedRequest:
    cursor = cursor_of(given, query["sort"])
    backwards = cursor is not None and cursor[0] == "prev"
    query["descending"] ^= backwards
    if cursor:
        query["after"] = list(cursor[1:])
    page = {"sort": query["sort"], "size": query["limit"] - 1, "backwards": backwards, "first": cursor is None}
    return ParsedRequest(None, [ParsedCommand({"match": NOTHING_SEARCHED, "query": query})], {**told, **page})


def _page(given: dict[str, str], default: str, sorted_by: tuple[str, ...]) -> dict[str, Any]:
    """One more than the page holds is asked for: it tells whether there is a next one."""
    sort = given.get("sort", default)
    field = sort.removeprefix("-")
    if field not in sorted_by:
        raise wrong("sort", f"'{sort[:60]}' is not one of {', '.join(sorted_by)}, each with or without a leading -.")
    return {"sort": field, "descending": sort.startswith("-"), "limit": size_of(given) + 1}


# --- filters ---


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a filter, such as `equals(email,"a@example.com")`."""

    operator: str
    field: str
    values: tuple[str, ...]


def conditions(text: str, operators: dict[str, tuple[str, ...]]) -> list[Condition]:
    """Every comparison of a filter, all of which must hold. Raises `Refusal` on one that there is not."""
    try:
        found = list(_comparisons(_Tokens(text))) if text.strip() else []
    except ValueError as reason:
        raise wrong("filter", f"Invalid filter: {reason}.") from None
    for condition in found:
        if condition.operator not in operators.get(condition.field, ()):
            raise wrong("filter", f"'{condition.field[:60]}' cannot be filtered by '{condition.operator[:60]}'.")
    return found


DEEPEST = 32
"""As many `and(…)` may stand in one another."""

_TOKEN = re.compile(r"""\s*(?:([(),\[\]])|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"'(),\[\]]+))\s*""")


class _Tokens:
    """The tokens of a filter: signs, and values as (value,)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def next(self) -> str:
        """A sign, or a word or text without its quotes. Raises `ValueError` where there is none."""
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            is_over = self._at == len(self._text)
            raise ValueError("it ends too early" if is_over else f"unreadable at position {self._at}")
        self._at = found.end()
        sign, double, single, word = found.groups()
        return next(_plain(text) for text in (sign, word, double, single) if text is not None)

    def take(self, sign: str) -> bool:
        """Whether the next token is this sign, which then is taken."""
        found = _TOKEN.match(self._text, self._at)
        if found is None or found[1] != sign:
            return False
        self._at = found.end()
        return True

    def demand(self, sign: str) -> None:
        if not self.take(sign):
            raise ValueError(f"a {sign} is missing at position {self._at}")

    def is_done(self) -> bool:
        return self._at == len(self._text)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _comparisons(tokens: _Tokens) -> Iterator[Condition]:
    """A list of calls, up to the end."""
    yield from _calls(tokens, DEEPEST)
    if not tokens.is_done():
        raise ValueError("there is more than one filter can be")


def _calls(tokens: _Tokens, levels: int) -> Iterator[Condition]:
    if levels < 0:
        raise ValueError("it nests too deeply")
    while True:
        operator = tokens.next()
        tokens.demand("(")
        if operator == "and":
            yield from _calls(tokens, levels - 1)
        else:
            yield _comparison(operator, tokens)
        tokens.demand(")")
        if not tokens.take(","):
            return


def _comparison(operator: str, tokens: _Tokens) -> Condition:
    field = tokens.next()
    tokens.demand(",")
    if not tokens.take("["):
        return Condition(operator, field, (tokens.next(),))
    values = [] if tokens.take("]") else [tokens.next()]
    while values and not tokens.take("]"):
        tokens.demand(",")
        values.append(tokens.next())
    return Condition(operator, field, tuple(values))


def _narrow(query: dict[str, Any], condition: Condition) -> None:
    """Lays one more condition over a query."""
    if condition.operator in NAMED:
        query.setdefault("filters", []).append({IDENTIFIERS[condition.field]: list(condition.values)})
        return
    span = query.setdefault(condition.field, {})
    moment = _moment(condition)
    bound, tighter = _BOUNDS[condition.operator[: condition.operator.index("-")]]
    moment += {"greater-or-equal": -1, "less-or-equal": 1}.get(condition.operator, 0)
    span[bound] = tighter(span.get(bound, moment), moment)


_BOUNDS: dict[str, tuple[str, Callable[[int, int], int]]] = {"greater": ("from", max), "less": ("to", min)}


def _moment(condition: Condition) -> int:
    try:
        return time_in(condition.values[0])
    except (ValueError, IndexError):
        raise wrong("filter", f"{condition.field} must be compared with a date or time (ISO 8601).") from None
