"""Changes of what a user chose and belongs to, as Courier's requests: topics, those for a tenant, and tenants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.dialects.courier.fields import USERS
from gateway.dialects.courier.preferences import DEFAULT, DIGEST
from gateway.dialects.courier.tokens import RECORDED
from gateway.dialects.outgoing import OutgoingRequest, Path, ProfileState, Rendered

RESET = (USERS, "reset")
"""What the last replacement reset, for its reply alone."""

_TOKENS = "tokens"


def add_user_requests(user: str, state: ProfileState, rendered: Rendered, rates: Sequence[str]) -> None:
    """Add the requests on touched topics and tenants. Digests, and what only a push token has, are skipped."""
    for path in state.touched:
        if path[0] != USERS or path == RESET:
            continue
        now, former = state.value(path) or {}, state.former.get(path, ())
        if path[1] == _TOKENS:
            _skip_tokens(path, now, former, rendered)
            continue
        for address, tree in _RENDERED[path[1]](now, former):
            if _opts_in(tree) and not may_opt_in(user, state):
                rendered.skip(*path)
            else:
                place = f"/users/{quote(user, safe='')}/{address}"
                rendered.requests.append(_request(place, _without_digest(path, tree, rendered), rates))


def may_opt_in(user: str, state: ProfileState) -> bool:
    """Return whether choices are newer than those at the vendor. With a profile that is new there they may be older."""
    return state.vendor_id == user and not state.is_copied


def _skip_tokens(path: Path, now: Mapping[str, Any], former: Sequence[Any], rendered: Rendered) -> None:
    for token in _touched_names(now, former):
        if any(name != RECORDED for name in now.get(token) or {}):
            rendered.skip(*path)


def _without_digest(path: Path, tree: Any, rendered: Rendered) -> Any:
    """Return a body without the schedule of digests, for which the call has no member."""
    if tree is None or DIGEST not in tree.get("topic", {}):
        return tree
    rendered.skip(*path, DIGEST)
    return {"topic": {name: each for name, each in tree["topic"].items() if name != DIGEST}}


def _request(place: str, tree: Any, rates: Sequence[str]) -> OutgoingRequest:
    return OutgoingRequest("DELETE" if tree is None else "PUT", place, tree, rates, missing_ok=tree is None)


def _opts_in(tree: Any) -> bool:
    return tree is not None and tree.get("topic", {}).get("status") == DEFAULT["status"]


_Requests = list[tuple[str, Any]]
"""Paths below a user, each with the body that sets what is there; None removes it."""


def _render_topics(now: Mapping[str, Any], former: Sequence[Any], query: str = "") -> _Requests:
    return [
        (f"preferences/{quote(topic, safe='')}{query}", {"topic": now[topic]} if now.get(topic) else None)
        for topic in _touched_names(now, former)
    ]


def _render_tenant_topics(now: Mapping[str, Any], former: Sequence[Any]) -> _Requests:
    requests: _Requests = []
    for tenant in _touched_names(now, former):
        olds = [old.get(tenant) if isinstance(old, dict) else None for old in former if not old or tenant in old]
        requests += _render_topics(now.get(tenant) or {}, olds, f"?tenant_id={quote(tenant, safe='')}")
    return requests


def _render_tenants(now: Mapping[str, Any], former: Sequence[Any]) -> _Requests:
    return [(f"tenants/{quote(tenant, safe='')}", now.get(tenant)) for tenant in _touched_names(now, former)]


def _touched_names(now: Mapping[str, Any], former: Sequence[Any]) -> list[str]:
    """Return the members that changes touched: those with a former value, or all where there was no object."""
    return [*dict.fromkeys(name for old in former for name in (old if isinstance(old, dict) else now))]


_RENDERED: Mapping[str, Callable[[Mapping[str, Any], Sequence[Any]], _Requests]] = {
    "topics": _render_topics,
    "tenant_topics": _render_tenant_topics,
    "tenants": _render_tenants,
}
