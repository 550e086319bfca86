"""Media types: bytes to tree and back, and which of them a reply is written in.

One module per codec, listed in `CODECS`; a codec knows no dialect and no field. Only this room knows lxml, xmltodict
and the JSON libraries. A new media type is a new module that has what `Codec` names, and its name in `CODECS`.
"""

from collections.abc import Sequence
from functools import lru_cache

from gateway.core.excerpt import excerpt
from gateway.core.faults import refuse
from gateway.media import json, xml
from gateway.media.codec import Bounds, Codec
from gateway.media.negotiation import elements, media_type, negotiate

__all__ = ["CODECS", "Bounds", "Codec", "codec_for", "negotiate", "reply_codec"]

CODECS: Sequence[Codec] = (json, xml)
"""Every codec. The first one writes the reply where nothing else decides."""


@lru_cache(maxsize=256)
def codec_for(content_type: str | None) -> tuple[Codec, str | None]:
    """The codec that reads a Content-Type (RFC 9110, 8.3), and the charset that it names.

    Raises `Refusal` unsupported_media_type where it is missing, malformed or no codec's.
    """
    sent = media_type(content_type or "")
    for codec in CODECS:
        if sent and codec.reads(sent.name):
            return codec, sent.parameters.get("charset")
    known = " or ".join(codec.media_type for codec in CODECS)
    found = f"the Content-Type {excerpt(content_type)} is not supported" if content_type else "there is no Content-Type"
    raise refuse("unsupported_media_type", f"{found}: send {known}")


def reply_codec(format_parameter: str | None, accept: str | None, request_codec: Codec | None) -> Codec:
    """The codec of the reply: as the `format` parameter says, else Accept, else as the request came, else JSON.

    Never fails: a format that names no codec and an Accept that none satisfies are passed over.
    """
    for codec in CODECS:
        if codec.name == format_parameter:
            return codec
    return _accepted(accept, (request_codec or CODECS[0]).media_type)


@lru_cache(maxsize=256)
def _accepted(accept: str | None, default: str) -> Codec:
    # What Accept itself names is offered too, so that `text/xml`, `application/vnd.api+json` or `;charset=utf-8` find
    # the codec that reads them.
    offers = {codec.media_type: codec for codec in CODECS}
    for element in elements(accept or ""):
        if named := media_type(element):
            offers.update((element, codec) for codec in CODECS if codec.reads(named.name))
    return offers[negotiate(accept, tuple(offers), default)]
