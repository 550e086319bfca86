"""lxml's parser for untrusted bodies: it resolves nothing, and its caches are bounded.

libxml2 keeps each distinct name, and each white-space text of up to 59 characters, in a dictionary. lxml keeps that
dictionary as long as its thread runs, so bodies with new names would fill the memory. Therefore each thread replaces
its dictionary, and the parser that refers to it, after every `MAX_DICTIONARY_INPUT_BYTES` bytes of input.
"""

import ctypes
import threading

from lxml import etree

MAX_DICTIONARY_INPUT_BYTES = 1024 * 1024
"""Bytes of XML per dictionary. It takes up to six times as much memory, if every name is short and new."""

_CONTEXT_KEY = "_ParserDictionaryContext"
"""lxml's key for it in the per-thread dictionary of extension modules (`PyThreadState_GetDict`)."""

_thread_state_dict = ctypes.pythonapi.PyThreadState_GetDict
_thread_state_dict.restype = ctypes.c_void_p  # a borrowed reference: py_object would release it


def parse_document(document: bytes) -> etree._Element:
    """Parse a document in UTF-8, whatever encoding it declares; return its root. Raises `etree.XMLSyntaxError`."""
    return etree.fromstring(document, _parsers.next_for(document))


class _Parsers(threading.local):
    """One parser per thread: threads that share a parser wait for each other."""

    def __init__(self) -> None:
        self._left = 0
        self._parser: etree.XMLParser | None = None

    def next_for(self, document: bytes) -> etree.XMLParser:
        if self._parser is None or self._left < 0:
            self._parser, self._left = _new_parser(), MAX_DICTIONARY_INPUT_BYTES
        self._left -= len(document)
        return self._parser


def _new_parser() -> etree.XMLParser:
    """Create a parser with a new dictionary. Earlier trees keep a reference to the old one."""
    ctypes.cast(_thread_state_dict(), ctypes.py_object).value.pop(_CONTEXT_KEY, None)
    # The body is UTF-8 by now; this overrides the encoding of its declaration.
    return etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, collect_ids=False)


_parsers = _Parsers()


def replaces_dictionary() -> bool:
    """Return whether lxml keeps the dictionary of a thread where this module replaces it."""
    parse_document(b"<a/>")
    return _CONTEXT_KEY in ctypes.cast(_thread_state_dict(), ctypes.py_object).value
