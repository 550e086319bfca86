"""lxml's parser for bodies of strangers: it follows nothing, and what it remembers of them is bounded.

libxml2 keeps each distinct name it meets, and each blank text of up to 59 characters, in a dictionary that lxml holds
for the life of a thread: bodies full of new ones would fill the memory, whoever sends them. So a thread drops its
dictionary, and its parser, which holds it too, after every `REMEMBERED` bytes. Knows no meaning of any element.
"""

import ctypes
import threading

from lxml import etree

REMEMBERED = 1024 * 1024
"""Bytes of XML that one dictionary remembers; six times as much memory, where every name is short and new."""

_DICTIONARY = "_ParserDictionaryContext"
"""Where lxml keeps it, in the dictionary that Python has for extensions in each thread (`PyThreadState_GetDict`)."""

_of_this_thread = ctypes.pythonapi.PyThreadState_GetDict
_of_this_thread.restype = ctypes.c_void_p  # borrowed: as an object, ctypes would take it for one of its own


def parsed(document: bytes) -> etree._Element:
    """The root of a document in UTF-8, whatever encoding it declares. Raises `etree.XMLSyntaxError`."""
    return etree.fromstring(document, _parsers.next_for(document))


class _Parsers(threading.local):
    """The parser of each thread: one that threads share would have them wait for each other."""

    def __init__(self) -> None:
        self._left = 0
        self._parser: etree.XMLParser | None = None

    def next_for(self, document: bytes) -> etree.XMLParser:
        if self._parser is None or self._left < 0:
            self._parser, self._left = _fresh(), REMEMBERED
        self._left -= len(document)
        return self._parser


def _fresh() -> etree.XMLParser:
    """A parser with a dictionary of its own. Trees that were read before keep the old one as long as they live."""
    ctypes.cast(_of_this_thread(), ctypes.py_object).value.pop(_DICTIONARY, None)
    # The encoding given here overrules the declaration, which has had its say by then.
    return etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, collect_ids=False)


_parsers = _Parsers()
