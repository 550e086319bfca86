"""Character encodings of a body: the accepted labels, and decoding to UTF-8.

The list is closed, so that no label (`utf-7`, `idna`, `zlib`) reaches Python's own registry.
"""

import re
from encodings.aliases import aliases

from gateway.core.excerpt import excerpt
from gateway.core.faults import refuse

UTF_8 = frozenset((None, "utf-8", "utf8"))
"""The charset parameters of most bodies: none, and UTF-8 as it is mostly written."""

_ACCEPTED = {
    *("ascii", "utf_8", "utf_16_be", "utf_16_le", "koi8_r", "koi8_u", "latin_1"),
    *(f"cp{number}" for number in range(1250, 1259)),
    *(f"iso8859_{number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
}
_NOT_ALPHANUMERIC = re.compile("[^0-9a-z]+")
_PYTHON_CODECS = {
    **{codec: codec for codec in _ACCEPTED},
    **{_NOT_ALPHANUMERIC.sub("_", alias): codec for alias, codec in aliases.items() if codec in _ACCEPTED},
    **{f"cswindows{number}": f"cp{number}" for number in range(1250, 1259)},
    **{f"csiso8859{number}": f"iso8859_{number}" for number in (13, 14, 15, 16)},
    "csutf8": "utf_8",
    "csutf16be": "utf_16_be",
    "csutf16le": "utf_16_le",
    "cskoi8u": "koi8_u",
    "latin_9": "iso8859_15",
    **dict.fromkeys(("utf_16", "utf16", "csutf16"), "utf_16_be"),  # without a byte order mark: RFC 2781, 4.3
}
"""Python's codec by label: Python's aliases, which IANA registers too, such as `ISO_8859-1:1987`, and IANA's others."""
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf_8", b"\xff\xfe": "utf_16_le", b"\xfe\xff": "utf_16_be"}


def to_utf8(body: bytes, charset: str | None = None) -> bytes:
    """Return the body in UTF-8, without its byte order mark.

    The byte order mark takes precedence over the charset; the default is UTF-8 (RFC 7303, 3; RFC 8259, 8.1).
    Raises `Refusal`: unsupported_media_type for an unknown charset; malformed_body for an empty body or for bytes that
    are invalid in the charset.
    """
    declared = _python_codec(charset) if charset else "utf_8"
    for mark, codec in _BYTE_ORDER_MARKS.items():
        if body.startswith(mark):
            return _transcode(body[len(mark) :], codec)
    return _transcode(body, declared)


def _python_codec(charset: str) -> str:
    label = charset.lower()
    codec = _PYTHON_CODECS.get(_NOT_ALPHANUMERIC.sub("_", label))
    if codec is None:
        raise refuse("unsupported_media_type", f"the charset {excerpt(label)} is not supported")
    return codec


def _transcode(body: bytes, codec: str) -> bytes:
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        name = codec.replace("_", "-")
        raise refuse("malformed_body", f"byte {error.start} of the body is not {name}: {error.reason}") from None
    if not text:
        raise refuse("malformed_body", "the body is empty")
    return body if codec == "utf_8" else text.encode()
