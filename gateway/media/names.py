"""Member names as XML element names and back, by the escape of ISO/IEC 9075-14 and .NET's XmlConvert.

A character that a name may not have there is written `_xHHHH_` (`_xHHHHHHHH_` past U+FFFF): `first name` is
`first_x0020_name`. An underscore that could begin such an escape is escaped itself, and so is the name `_`, to which
xml.py gives a meaning of its own. Two names are never one element name. Knows no document.
"""

import re

from gateway.core.faults import refuse

# XML 1.0, fifth edition, productions 4 and 4a; without the colon, as in Namespaces in XML, production 4.
_FIRST = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_ANY = _FIRST + r"\-.0-9\u00b7\u0300-\u036f\u203f\u2040"
_TO_ESCAPE = re.compile(f"^[^{_FIRST}]|[^{_ANY}]|_(?=x[0-9A-Fa-f]{{4}})|\\A_\\Z")
_ESCAPE = re.compile("_x([0-9A-Fa-f]{8}|[0-9A-Fa-f]{4})_")
_NOT_CARRIED = re.compile(r"[\0\ud800-\udfff]|\A\Z")


def element_name(member: str) -> str | None:
    """The element name of a member; None for what even an escape cannot carry: no name, U+0000, a lone surrogate."""
    if member.isascii() and member.isidentifier() and "_x" not in member and member != "_":
        return member
    if _NOT_CARRIED.search(member):
        return None
    return _TO_ESCAPE.sub(_escaped, member)


def member_name(element: str) -> str:
    """The member that an element name means. Raises `Refusal` malformed_body on an escape that is not a character."""
    return _ESCAPE.sub(_unescaped, element) if "_x" in element else element


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"_x{code:04X}_" if code < 0x10000 else f"_x{code:08X}_"


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    if code == 0 or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        raise refuse("malformed_body", f"{found[0]} in an element name escapes what is not a character")
    return chr(code)
