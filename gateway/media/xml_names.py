"""Member names ⇄ XML element names, by the escape of ISO/IEC 9075-14 and .NET's XmlConvert.

A character that some parser rejects in a name becomes `_xHHHH_` (`_xHHHHHHHH_` above U+FFFF): `first name` is
`first_x0020_name`. An underscore that could start such an escape is escaped too, and so is the name `_`, which is an
unnamed item in xml.py. Different member names have different element names.
"""

import re

from gateway.core.faults import refuse

# Not escaped: the Latin, Cyrillic and Han letters that every edition of XML 1.0 allows. The fifth edition allows many
# more, but parsers of the fourth (expat, Xerces) reject a document with them.
_FIRST = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0131\u0401-\u040c\u040e-\u044f\u0451-\u045c\u045e-\u0481\u4e00-\u9fa5"
)
_ANY = _FIRST + r"\-.0-9"
_TO_ESCAPE = re.compile(f"^[^{_FIRST}]|[^{_ANY}]|_(?=x[0-9A-Fa-f]{{4}})|\\A_\\Z")
_ESCAPE = re.compile("_x([0-9A-Fa-f]{8}|[0-9A-Fa-f]{4})_")
_NOT_ESCAPABLE = re.compile(r"[\0\ud800-\udfff]|\A\Z")


def element_name(member: str) -> str | None:
    """Return the element name of a member. None if even an escape cannot represent it: "", U+0000, a lone surrogate."""
    if member.isascii() and member.isidentifier() and "_x" not in member and member != "_":
        return member
    if _NOT_ESCAPABLE.search(member):
        return None
    return _TO_ESCAPE.sub(_escape, member)


def member_name(element: str) -> str:
    """Return the member name of an element. Raises `Refusal` malformed_body for an escape that is not a character."""
    return _ESCAPE.sub(_unescape, element) if "_x" in element else element


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"_x{code:04X}_" if code < 0x10000 else f"_x{code:08X}_"


def _unescape(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    if code == 0 or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        raise refuse("malformed_body", f"{found[0]} in an element name escapes what is not a character")
    return chr(code)
