"""Media types in HTTP (RFC 9110, 8.3 and 12.5.1): reading them, and choosing between those that are offered.

Knows no codec and no body, and never fails: what cannot be read is passed over.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Possessive throughout: no header can make these backtrack.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_PARAMETER = rf"[ \t]*+;[ \t]*+(?:{_TOKEN}=(?:{_QUOTED}|{_TOKEN}|))?+"
_ELEMENT = re.compile(rf'(?:[^,"]|{_QUOTED}?+)++')
_MEDIA_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN}|\*)((?:{_PARAMETER})*+)")
_NAMED = re.compile(rf"({_TOKEN})=({_QUOTED}|{_TOKEN}|)")
