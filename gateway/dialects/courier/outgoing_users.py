"""Changes of what a user chose and belongs to, as Courier's requests: topics, those for a tenant, and tenants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.dialects.courier.fields import USERS
from gateway.dialects.courier.preferences import CHOICE, DEFAULT
from gateway.dialects.outgoing import OutgoingRequest, ProfileState, Rendered

RESET = (USERS, "reset")
"""What the last replacement reset, for its reply alone."""


def add_user_requests(user: str, state: ProfileState, rendered: Rendered, rates: Sequence[str]) -> None:
    """Add the requests on touched topics and tenants. What a push token has besides its provider is skipped."""
    for path in state.touched:
        if path[0] != USERS or path == RESET:
            continue
        render = _RENDERED.get(path[1])
        if render is None:
            rendered.skip(*path)
            continue
        for address, tree in render(state.value(path) or {}, state.former.get(path, ())):
            if state.vendor_id is None and _opts_in(tree):  # it may be older than an opt-out there
                rendered.skip(*path)
            else:
                place = f"/users/{quote(user, safe='')}/{address}"
                rendered.requests.append(_request(place, tree, rates))


def _request(place: str, tree: Any, rates: Sequence[str]) -> OutgoingRequest:
    return OutgoingRequest("DELETE" if tree is None else "PUT", place, tree, rates, missing_ok=tree is None)


def _opts_in(tree: Any) -> bool:
    return tree is not None and tree.get("topic", {}).get("status") == DEFAULT["status"]


_Requests = list[tuple[str, Any]]
"""Paths below a user, each with the body that sets what is there; None removes it."""


def _render_topics(now: Mapping[str, Any], former: Sequence[Any], query: str = "") -> _Requests:
    return [
        (f"preferences/{quote(topic, safe='')}{query}", _render_choice(now.get(topic)))
        for topic in _touched_names(now, former)
    ]


def _render_choice(choice: Any) -> Any:
    return choice and {"topic": {name: choice[name] for name in CHOICE if name in choice}}


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
