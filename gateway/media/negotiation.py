"""Media types in HTTP (RFC 9110, 8.3 and 12.5.1): reading them, and choosing between those that are offered.

Knows no codec and no body, and never fails: what cannot be read is passed over.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

# Possessive throughout, so that no header can make these backtrack.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_VALUE = rf"(?:{_QUOTED}|{_TOKEN}|)"  # the empty one is not in the grammar, but seen: `q=`
_PARAMETERS = rf"(?:[ \t]*+;[ \t]*+(?:{_TOKEN}={_VALUE})?+)*+"
_MEDIA_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN}|\*)({_PARAMETERS})")
_PARAMETER = re.compile(rf"({_TOKEN})=({_VALUE})")
_ELEMENT = re.compile(rf'(?:[^,"]|{_QUOTED}?+)++')

_MOST_ELEMENTS = 64


@dataclass(frozen=True, slots=True)
class MediaType:
    """`type/subtype` and its parameters, all in lower case; `quality` is the weight of a range in an Accept."""

    name: str
    parameters: dict[str, str]
    quality: float = 1.0


def media_type(text: str) -> MediaType | None:
    """A media type or range as a header writes it (RFC 9110, 8.3.1), `*` too; None where it is malformed.

    So is one that has a parameter twice (RFC 6838, 4.3): readers differ on which of them counts.
    """
    found = _MEDIA_TYPE.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    told = [(name.lower(), _unquoted(value).lower()) for name, value in _PARAMETER.findall(found[2])]
    parameters = dict(told)
    if len(parameters) < len(told):
        return None
    quality = _weight(parameters.pop("q", "1"))
    return MediaType("*/*" if found[1] == "*" else found[1].lower(), parameters, quality)


def elements(field: str) -> list[str]:
    """The elements of a list field (RFC 9110, 5.6.1): split at commas outside quotes; at most 64 are read."""
    return [found[0].strip(" \t") for found in islice(_ELEMENT.finditer(field), _MOST_ELEMENTS)]


def negotiate(accept: str | None, offers: Sequence[str], default: str) -> str:
    """The offer that an Accept likes best (RFC 9110, 12.5.1).

    The higher quality wins, then the range that says it more exactly, then the default, then the earlier offer. The
    default also answers an Accept that is absent, malformed or not to be satisfied.
    """
    ranges = [each for each in map(media_type, elements(accept or "")) if each]
    ranked = [
        (*preference(parsed, ranges), offer == default, offer) for offer in offers if (parsed := media_type(offer))
    ]
    quality, *_, best = max(ranked, key=lambda row: row[:3], default=(0.0, default))
    return best if quality > 0 else default


def preference(offer: MediaType, ranges: Sequence[MediaType]) -> tuple[float, tuple[int, int]]:
    """The quality of an offer, and the specificity of the range that gives it: the most specific one that covers it."""
    wider = ("*/*", offer.name.partition("/")[0] + "/*", offer.name)
    covering = [
        ((wider.index(each.name), len(each.parameters)), each.quality)
        for each in ranges
        if each.name in wider and each.parameters.items() <= offer.parameters.items()
    ]
    specificity, quality = max(covering, default=((0, 0), 0.0))
    return quality, specificity


def _weight(text: str) -> float:
    """What cannot be read as a weight is 1, as if it were not there."""
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
