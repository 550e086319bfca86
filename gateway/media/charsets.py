"""Character encodings of a body: the accepted labels, and decoding to UTF-8.

The list is closed, so that no label (`utf-7`, `idna`, `zlib`) reaches Python's own registry.
"""

from gateway.core.excerpt import excerpt
from gateway.core.faults import refuse

_PYTHON_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "utf-16": "utf-16-be",  # without a byte order mark: RFC 2781, 4.3
    "utf-16be": "utf-16-be",
    "utf-16le": "utf-16-le",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    **{f"windows-125{n}": f"cp125{n}" for n in range(9)},
    **{f"cp125{n}": f"cp125{n}" for n in range(9)},
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in range(1, 17) if n != 12},
}
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def to_utf8(body: bytes, charset: str | None = None) -> bytes:
    """Return the body in UTF-8, without its byte order mark.

    The byte order mark takes precedence over the charset; the default is UTF-8 (RFC 7303, 3; RFC 8259, 8.1).
    Raises `Refusal`: unsupported_media_type for an unknown charset; malformed_body for an empty body or for bytes that
    are invalid in the charset.
    """
    label = (charset or "utf-8").lower()
    if label not in _PYTHON_CODECS:
        raise refuse("unsupported_media_type", f"the charset {excerpt(label)} is not supported")
    for mark, codec in _BYTE_ORDER_MARKS.items():
        if body.startswith(mark):
            return _transcode(body[len(mark) :], codec)
    return _transcode(body, _PYTHON_CODECS[label])


def _transcode(body: bytes, codec: str) -> bytes:
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        raise refuse("malformed_body", f"byte {error.start} of the body is not {codec}: {error.reason}") from None
    if not text:
        raise refuse("malformed_body", "the body is empty")
    return body if codec == "utf-8" else text.encode()
