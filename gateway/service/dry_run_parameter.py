"""The `dry_run` parameter of a query."""

from urllib.parse import parse_qsl, urlsplit

from gateway.core.faults import refuse
from gateway.dialects.protocol import CHANGE_STATUSES, WITHOUT_DRY_RUN, Call
from gateway.service.http_messages import Message

DRY_RUN = "dry_run"
VALUES = {"true": True, "false": False, "1": True, "0": False}


def is_dry_run(message: Message, call: Call) -> bool:
    """Return whether a writing call with the parameter is a dry run. Raises `Refusal`: invalid_parameter."""
    given = {value for name, value in parse_qsl(urlsplit(message.target).query, True) if name == DRY_RUN}
    if len(given) != 1 or not given <= VALUES.keys():
        raise refuse("invalid_parameter", f"it must be one of {', '.join(VALUES)}", f"/{DRY_RUN}")
    value = VALUES[given.pop()]
    if value and call.operation == CHANGE_STATUSES:
        raise refuse("invalid_parameter", "a call that changes all profiles has no dry run", f"/{DRY_RUN}")
    if value and call.operation in WITHOUT_DRY_RUN:
        raise refuse("invalid_parameter", "a change of a list itself has no dry run", f"/{DRY_RUN}")
    if value and call.is_public:
        raise refuse("invalid_parameter", "a call that is open to any page tells of no profile", f"/{DRY_RUN}")
    return value
