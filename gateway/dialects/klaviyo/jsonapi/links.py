"""What stands beside the body: parameters of the query, the addresses that replies link to, the cursors of pages."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from gateway.core.faults import Refusal, refuse
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.fields import ADDITIONAL, SHOWN
from gateway.dialects.protocol import Request

CURSOR, SIZE = "page[cursor]", "page[size]"
FIELDS_OF_PROFILE, MORE_OF_PROFILE = "fields[profile]", "additional-fields[profile]"


def parameters(incoming: Request) -> dict[str, str]:
    """The query's parameters; what is repeated counts as one list."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(incoming.target).query, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def wrong(parameter: str, detail: str) -> Refusal:
    """The refusal of a parameter's value, to be raised."""
    return refuse("invalid_parameter", detail, join_pointer("parameter", parameter))


def about(incoming: Request) -> dict[str, Any]:
    """What a reply with profiles must know of its request: where it came to, and which attributes are wanted."""
    given = parameters(incoming)
    if "include" in given:
        raise wrong("include", "Nothing can be included here.")
    fields, additional = _names(given, FIELDS_OF_PROFILE), _names(given, MORE_OF_PROFILE)
    for parameter, names, known in ((FIELDS_OF_PROFILE, fields, SHOWN), (MORE_OF_PROFILE, additional, ADDITIONAL)):
        if unknown := [name for name in names if name not in known and name.partition(".")[0] not in ADDITIONAL]:
            raise wrong(parameter, f"'{unknown[0][:60]}' is not a valid field for the resource 'profile'.")
    wanted = {name.partition(".")[0] for name in (*fields, *additional)}
    named = tuple(name for name in ADDITIONAL if name in wanted)
    return {"base": base(incoming), "target": incoming.target, "fields": fields, "additional": named}


def about_jobs(incoming: Request, type: str, attributes: Sequence[str]) -> dict[str, Any]:
    """What a reply with jobs must know: the same, and which attributes of theirs are wanted."""
    parameter = f"fields[{type}]"
    wanted = _names(parameters(incoming), parameter)
    if unknown := [name for name in wanted if name not in ("id", *attributes)]:
        raise wrong(parameter, f"'{unknown[0][:60]}' is not a valid field for the resource '{type}'.")
    return {**about(incoming), "fields of job": wanted}


def base(incoming: Request) -> str:
    """The scheme and host that the client knows this gateway by; a proxy before it says where the scheme is another."""
    scheme = "https" if incoming.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{incoming.headers.get('host', 'localhost')}"


def _names(given: Mapping[str, str], parameter: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given[parameter].split(",")) if parameter in given else ()


# --- pages ---


def size_of(given: Mapping[str, str]) -> int:
    """How many a page holds. Raises `Refusal`."""
    text = given.get(SIZE, "20")
    if not re.fullmatch("[1-9][0-9]?|100", text):
        raise wrong(SIZE, "The page size must be an integer between 1 and 100.")
    return int(text)


def cursor_of(given: Mapping[str, str], sort: str) -> tuple[str, Any, str] | None:
    """(direction, sorted value, id) where a page begins, None for the first. A whole link is taken for its cursor.

    Raises `Refusal` on what is no cursor of such a list.
    """
    text = given.get(CURSOR)
    if not text:
        return None
    try:
        text = parse_qs(urlsplit(text).query).get(CURSOR, [text])[0]
        parts = json.loads(urlsafe_b64decode(text.encode()))
        json.dumps(parts, ensure_ascii=False).encode()  # a lone surrogate is no text
        match parts:
            case ["next" | "prev" as direction, found, value, str(id)] if found == sort and _sorts(sort, value):
                return direction, value, id
    except (ValueError, RecursionError):
        pass
    raise wrong(CURSOR, "The cursor is not valid.")


def _sorts(sort: str, value: Any) -> bool:
    """Whether a list can be sorted by such a value."""
    if sort in ("created", "updated", "number"):
        return type(value) is int and 0 <= value < 2**63
    return isinstance(value, str)


def page_link(about: Mapping[str, Any], direction: str, sort: str, value: Any, id: str) -> str:
    """The address of the page that begins there, in this direction."""
    parts = urlsplit(about["target"])
    cursor = urlsafe_b64encode(json.dumps([direction, sort, value, id], separators=(",", ":")).encode()).decode()
    kept = [(name, text) for name, text in parse_qsl(parts.query) if name != CURSOR]
    return f"{about['base']}{parts.path}?{urlencode([*kept, (CURSOR, cursor)])}"
