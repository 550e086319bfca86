"""What an account replies."""

from msgspec import Struct

from gateway.core.model import Tree


class AccountReply(Struct, frozen=True):
    """The status and the tree of a reply; without a status, the reason for which there is none."""

    status: int | None
    tree: Tree = None
    reason: str = ""
    retry_after: str | None = None
