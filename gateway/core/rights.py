"""The rights of tokens."""

from collections.abc import Mapping

READ, WRITE, DELETE, DELIVER, CONSOLE = "read", "write", "delete", "deliver", "console"
RIGHTS = (READ, WRITE, DELETE, DELIVER, CONSOLE)

OWN_RIGHTS: Mapping[str, str] = {READ: "own_read", WRITE: "own_write"}
"""The rights of a token that is bound to one user, by those that they are a part of.

They are words of their own: where a check does not know of users, such a token has no right."""

TOKEN_RIGHTS = (*RIGHTS, *OWN_RIGHTS.values())
"""All rights that a token may have, in the order in which they are listed."""
