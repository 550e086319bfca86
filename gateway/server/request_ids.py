"""Request ids: the client's own `X-Request-Id` where it is safe to log, else a new one."""

import os
import re
from collections.abc import Iterator
from itertools import count

is_safe = re.compile(r"[A-Za-z0-9._:/=-]{1,128}").fullmatch
"""Matches UUIDs, ULIDs, trace ids and the like. Ids are logged, and a value with `@` or `+` may be personal."""


def request_ids() -> Iterator[str]:
    """Return endless ids that are unique among processes: a random prefix and a number."""
    return map(f"{os.urandom(8).hex()}{{:08x}}".format, count(1))
