"""The ids of new profiles."""

import os
import time


def new_profile_id() -> str:
    """Return 24 hexadecimal digits. The first eight are the time: profiles created together are stored together."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(8).hex()}"
