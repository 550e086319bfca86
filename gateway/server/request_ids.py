"""Request ids: the client's own `X-Request-Id` where it is safe to log, else a new one."""

import os
import re
from collections.abc import Mapping
from itertools import count

is_safe = re.compile(r"[A-Za-z0-9._:/=-]{1,128}").fullmatch
"""Matches UUIDs, ULIDs, trace ids and the like. Ids are logged, and a value with `@` or `+` may be personal."""


class RequestIds:
    """Creates ids that are unique among processes: a random prefix and a number."""

    def __init__(self) -> None:
        prefix = os.urandom(8).hex()
        self._ids = (f"{prefix}{number:08x}" for number in count(1))

    def id_of(self, headers: Mapping[str, str]) -> str:
        """Return the id of a request with these headers."""
        value = headers.get("x-request-id")
        return value if value and is_safe(value) else next(self._ids)
