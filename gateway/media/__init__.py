"""Media types: bytes ⇄ tree, and the choice of the media type of a reply.

Each codec is one module, listed in `CODECS`. A codec depends on no dialect and no field. Only this package decodes
and encodes bodies. To add a media type, add a module with the members of `Codec` to `CODECS`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from gateway.core.excerpt import excerpt
from gateway.core.faults import refuse
from gateway.media import json, xml
from gateway.media.codec import Bounds, Codec
from gateway.media.negotiation import elements, media_type, negotiate

__all__ = ["CODECS", "Bounds", "Codec", "codec_for", "guess_codec", "negotiate", "reply_codec"]

CODECS: Sequence[Codec] = (json, xml)
"""Every codec. The first one is the default for replies."""
_CODECS_BY_NAME: Mapping[str | None, Codec] = {codec.name: codec for codec in CODECS}

MAX_GUESS_BYTES = 256
_MARKS_AND_WHITE_SPACE = b"\xef\xbb\xbf\xff\xfe \t\r\n"
"""The bytes of every byte order mark, and white space. The null bytes of UTF-16 are removed before."""


@lru_cache(maxsize=256)
def codec_for(content_type: str | None) -> tuple[Codec, str | None]:
    """Return the codec for a Content-Type (RFC 9110, 8.3) and its charset parameter.

    Raises `Refusal` unsupported_media_type if the header is missing or malformed, or if no codec accepts it.
    """
    parsed = media_type(content_type or "")
    for codec in CODECS:
        if parsed and codec.accepts(parsed.name):
            return codec, parsed.parameters.get("charset")
    supported = " or ".join(codec.media_type for codec in CODECS)
    reason = (
        f"the Content-Type {excerpt(content_type)} is not supported" if content_type else "there is no Content-Type"
    )
    raise refuse("unsupported_media_type", f"{reason}: send {supported}")


def guess_codec(body: bytes) -> Codec | None:
    """Return the XML codec for a body that begins with `<`, after a byte order mark and white space, else None.

    It decides only the media type of the reply to a body that no codec decodes.
    """
    start = body[:MAX_GUESS_BYTES].replace(b"\0", b"").lstrip(_MARKS_AND_WHITE_SPACE)
    return xml if start.startswith(b"<") else None


@lru_cache(maxsize=1024)
def reply_codec(
    format_parameter: str | None, accept: str | None, request_codec: Codec | None, own_types: tuple[str, ...] = ()
) -> Codec:
    """Return the codec of the reply: from the `format` parameter, else Accept, else the request's own, else JSON.

    `own_types` are the media types of the request and of the dialect's replies. A range with the suffix +json or +xml
    counts only if it is one of them: browsers send `application/xhtml+xml`, which is not the XML of an API.
    Never fails: ignores a format that names no codec and an Accept that no codec satisfies.
    """
    named = _CODECS_BY_NAME.get(format_parameter)
    return named or _negotiate_codec(accept, (request_codec or CODECS[0]).media_type, own_types)


def _negotiate_codec(accept: str | None, default: str, own_types: tuple[str, ...]) -> Codec:
    # The ranges of Accept are offers too: `text/xml`, `application/vnd.api+json` or `;charset=utf-8` then select the
    # codec that accepts them.
    own_names = {parsed.name for each in own_types if (parsed := media_type(each))}
    offers = {codec.media_type: codec for codec in CODECS}
    for element in elements(accept or ""):
        parsed = media_type(element)
        if parsed and ("+" not in parsed.name or parsed.name in own_names):
            offers.update((element, codec) for codec in CODECS if codec.accepts(parsed.name))
    return offers[negotiate(accept, tuple(offers), default)]
