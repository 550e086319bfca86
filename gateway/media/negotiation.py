"""Media types in HTTP (RFC 9110, 8.3 and 12.5.1): parsing, and proactive negotiation.

Nothing here fails: malformed elements are ignored.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

# All quantifiers are possessive: no header causes backtracking.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_VALUE = rf"(?:{_QUOTED}|{_TOKEN}|)"  # the grammar has no empty value, but clients send `q=`
_PARAMETERS = rf"(?:[ \t]*+;[ \t]*+(?:{_TOKEN}={_VALUE})?+)*+"
_MEDIA_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN}|\*)({_PARAMETERS})")
_PARAMETER = re.compile(rf"({_TOKEN})=({_VALUE})")
_ELEMENT = re.compile(rf'(?:[^,"]|{_QUOTED}?+)++')

_MAX_ELEMENTS = 64


@dataclass(frozen=True, slots=True)
class MediaType:
    """`type/subtype` and its parameters in lower case. `quality` is the weight of a range in Accept."""

    name: str
    parameters: dict[str, str]
    quality: float = 1.0


def media_type(text: str) -> MediaType | None:
    """Parse a media type or range of a header (RFC 9110, 8.3.1); `*` counts as `*/*`. None if it is malformed.

    A repeated parameter is malformed (RFC 6838, 4.3): parsers differ on which one counts.
    """
    found = _MEDIA_TYPE.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    pairs = [(name.lower(), _unquoted(value).lower()) for name, value in _PARAMETER.findall(found[2])]
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        return None
    quality = _weight(parameters.pop("q", "1"))
    return MediaType("*/*" if found[1] == "*" else found[1].lower(), parameters, quality)


def elements(field: str) -> list[str]:
    """Split a list field (RFC 9110, 5.6.1) at commas outside quotes. Return at most the first 64 elements."""
    return [found[0].strip(" \t") for found in islice(_ELEMENT.finditer(field), _MAX_ELEMENTS)]


def negotiate(accept: str | None, offers: Sequence[str], default: str) -> str:
    """Return the offer that Accept prefers (RFC 9110, 12.5.1).

    Order of precedence: quality, specificity of the range, the default, position in `offers`. Return the default if
    Accept is absent or malformed, or if no offer satisfies it.
    """
    ranges = [each for each in map(media_type, elements(accept or "")) if each]
    ranked = [
        (*preference(parsed, ranges), offer == default, offer) for offer in offers if (parsed := media_type(offer))
    ]
    quality, *_, best = max(ranked, key=lambda row: row[:3], default=(0.0, default))
    return best if quality > 0 else default


def preference(offer: MediaType, ranges: Sequence[MediaType]) -> tuple[float, tuple[int, int]]:
    """Return the quality of an offer, and the specificity of the range that determines it: the most specific match."""
    wildcards = ("*/*", offer.name.partition("/")[0] + "/*", offer.name)
    matching = [
        ((wildcards.index(each.name), len(each.parameters)), each.quality)
        for each in ranges
        if each.name in wildcards and each.parameters.items() <= offer.parameters.items()
    ]
    specificity, quality = max(matching, default=((0, 0), 0.0))
    return quality, specificity


def _weight(text: str) -> float:
    """A malformed weight counts as 1, the default."""
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
