"""Quick import: one profile by flat parameters, in the URL, a form or a body.

Source: https://guides.altcraft.com/en/developer-guide/profiles/3113182.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.core.faults import Fault, refuse
from gateway.core.subscription_rules import IN_SUBSCRIPTIONS, KEEP_OPT_OUTS
from gateway.dialects.altcraft import errors
from gateway.dialects.altcraft.data import parse_data
from gateway.dialects.altcraft.matching import NO_MATCH, parse_match
from gateway.dialects.altcraft.parameters import parse_parameters, present_members, require, strip_text
from gateway.dialects.altcraft.requests import CREATE
from gateway.dialects.altcraft.starts import quick_starts
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request

MODES = ("email", "email_profile", "phone")
FIELD_MODE = "field_name"
"""The word for a search by the own field that `field_name` names, with the value `field_value`."""

PARAMETERS = frozenset(
    {
        *("token", "db_id", "format", "dry_run", "matching", "field_name", "field_value", "phone"),
        *("resource_id", "trigger_id", "workflow_id"),
    }
)
"""The parameters that are no fields of the profile. `email` is both."""


def parse_profile(request: Request) -> ParsedRequest:
    """Parse a quick import: update the profile that matches, or create it."""
    faults: list[Fault] = []
    parameters, is_typed = parse_parameters(request), request.is_typed
    database = require(parameters, "db_id")
    fields = {name: value for name, value in parameters.items() if name not in PARAMETERS}
    if "" in request.tree:
        fields[""] = request.tree[""]  # without a name it is no field, and without a value no absent one
    if "phone" in parameters:
        fields.setdefault("phones", {"action": "add", "value": [parameters["phone"]]})
    if not fields:
        raise refuse("missing_parameter", "at least one field of the profile is needed", "/data")
    match = _parse_match(parameters, fields, faults, is_typed)
    if referer := request.headers.get("referer"):
        fields.setdefault("_regurl", referer)
    if subscriptions := _subscriptions(parameters):
        fields["subscriptions"] = subscriptions
    options = {"options": {"detect_geo": True}} if "_regip" in fields else {}
    update = {"database": database, **options, **CREATE, "match": match, **parse_data(fields, faults, is_typed)}
    if subscriptions:
        update[KEEP_OPT_OUTS] = IN_SUBSCRIPTIONS
    if starts := quick_starts(parameters, is_typed):
        update["starts"] = starts
    return ParsedRequest(database, [ParsedCommand(update, faults)])


def _parse_match(parameters: Any, fields: Any, faults: list[Fault], is_typed: bool) -> Any:
    """Return the match. The name of an own field may stand in the place of a mode."""
    mode = strip_text(parameters.get("matching"))
    mode = "email" if mode in (None, "") else mode
    names = present_members(parameters, ("email", "phone", "field_name", "field_value"))
    if mode == FIELD_MODE:
        return parse_match({**names, "matching": "custom"}, {}, faults, ("custom",), is_typed=is_typed)
    if mode in MODES:
        return parse_match({**names, "matching": mode}, {}, faults, MODES, is_typed=is_typed)
    if isinstance(mode, str) and mode in fields:
        return {"mode": "custom", "values": {"field_name": mode, "field_value": fields[mode]}}
    words = ", ".join((*MODES, FIELD_MODE))
    faults.append(
        Fault("unknown_matching", f"it must be one of {words}, or an own field of the request", "/match/mode")
    )
    return NO_MATCH


def _subscriptions(parameters: Any) -> list[dict[str, Any]]:
    """Return the subscriptions of the given addresses to the resource.

    The source does not say that they lift an opt-out, and every update of a field that names the resource has them.
    """
    channels = {"email": "email", "phone": "sms"} if parameters.get("resource_id") not in (None, "") else {}
    return [
        {
            "resource_id": parameters["resource_id"],
            "channel": channel,
            name: parameters[name],
            "status": "subscribed",
        }
        for name, channel in channels.items()
        if parameters.get(name) not in (None, "")
    ]


def render_faults(faults: Sequence[Fault]) -> Reply:
    """Render the reply to a rejected request, whose status is always the code. Without a token it is 403."""
    return errors.render_faults([_with_status(fault) for fault in faults], always_200=False)


def _with_status(fault: Fault) -> Fault:
    return replace(fault, code="unknown_token", detail=fault.text) if fault.code == "no_token" else fault
