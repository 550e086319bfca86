"""A request of the console as a dry run, and the tree of its reply."""

import json
from urllib.parse import urlencode

from gateway.core.model import Tree
from gateway.dialects.protocol import CONTENT_TYPES
from gateway.service.dry_run_parameter import DRY_RUN
from gateway.service.http_messages import Message, Response


def as_dry_run(message: Message, media: str) -> Message:
    """Return the request as a dry run, whose reply is in a media type."""
    separator = "&" if "?" in message.target else "?"
    return Message(
        message.method,
        {**message.headers, "accept": CONTENT_TYPES[media]},
        message.body,
        {**message.query, DRY_RUN: "true"},
        message.path,
        f"{message.target}{separator}{urlencode({DRY_RUN: 'true'})}",
        message.id,
        message.base,
        message.token,
    )


def dry_run_tree(response: Response) -> Tree | None:
    """Return the tree of a dry run; None if the request was refused before it."""
    try:
        tree = json.loads(response.body)
    except ValueError:
        return None
    return tree if isinstance(tree, dict) and tree.get(DRY_RUN) is True else None
