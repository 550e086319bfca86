"""Changes of the lists of a profile, and of its preferences there, as Courier's requests."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.dialects.courier.outgoing_users import may_opt_in
from gateway.dialects.courier.preferences import STATUSES
from gateway.dialects.outgoing import OutgoingRequest, ProfileState, Rendered, Target

MEMBERSHIPS, PREFERENCES = "memberships", "preferences"
_OPTED_IN, _OPTED_OUT = STATUSES


def add_list_requests(user: str, state: ProfileState, target: Target, rendered: Rendered, rates: Sequence[str]) -> None:
    """Add the request that joins the lists, with the preferences that were touched, and those that leave the others."""
    preferences = dict(_touched_preferences(user, state, rendered))
    joins = ("segments",) in state.touched
    lists = [
        {"listId": target.segment(each), **preferences.get(str(each), {})}
        for each in state.document.get("segments", ())
        if joins or str(each) in preferences
    ]
    if lists:
        path = f"/profiles/{quote(user, safe='')}/lists"
        rendered.requests.append(OutgoingRequest("POST", path, {"lists": lists}, rates, has_key=True))
    for each in state.ended("segments"):
        path = f"/lists/{quote(target.segment(each), safe='')}/subscriptions/{quote(user, safe='')}"
        rendered.requests.append(OutgoingRequest("DELETE", path, None, rates, missing_ok=True))


def _touched_preferences(user: str, state: ProfileState, rendered: Rendered) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each segment whose preferences are to be sent, with the member that has them. Empty ones reset them."""
    for path in state.touched:
        if path[0] != MEMBERSHIPS or not _touches_preferences(state.value(path), state.former.get(path, ())):
            continue
        now = (state.value(path) or {}).get(PREFERENCES, {})
        sent = now if may_opt_in(user, state) else _opt_outs(now)
        if sent != now:
            rendered.skip(*path, PREFERENCES)
        if sent or sent == now:
            yield path[1], {PREFERENCES: sent}


def _touches_preferences(now: Any, former: Sequence[Any]) -> bool:
    is_there = isinstance(now, dict) and PREFERENCES in now
    return any(PREFERENCES in old if isinstance(old, dict) else is_there for old in former)


def _opt_outs(preferences: Any) -> dict[str, Any]:
    """Return preferences without names that are wanted; {} if no name is unwanted."""
    return _without_opt_ins(preferences) if opts_out(preferences) else {}


def _without_opt_ins(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_opt_ins(each) for name, each in value.items() if not _has_status(each, _OPTED_IN)}


def opts_out(value: Any) -> bool:
    """Return whether a value is a choice to get no messages, or has one inside."""
    return isinstance(value, dict) and (_has_status(value, _OPTED_OUT) or any(map(opts_out, value.values())))


def _has_status(value: Any, status: str) -> bool:
    return isinstance(value, Mapping) and value.get("status") == status
