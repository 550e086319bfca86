"""Tenants that a user belongs to, each with a profile of its own there.

Source: https://www.courier.com/docs/api-reference/user-tenants. A tenant itself is a setting of the vendor's workspace.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Profile
from gateway.core.pointer import join_pointer
from gateway.dialects.courier.fields import USERS
from gateway.dialects.courier.pages import page_of, parse_page
from gateway.dialects.courier.requests import decode_name, parse_list, parsed_request, require
from gateway.dialects.protocol import ParsedRequest, Reply, Request, Result

MAX_TENANTS = 100
PLACE = (USERS, "tenants")


def parse_search(request: Request) -> ParsedRequest:
    """Parse GET of the tenants of a user. A user who is not known has none."""
    return parsed_request(request, {"missing_ok": True}, user=decode_name(request, "user_id"))


def parse_additions(request: Request) -> ParsedRequest:
    """Parse PUT of many tenants. Others of the user stay."""
    rows = parse_list(require(request.tree, "tenants"), request.is_typed)
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_TENANTS:
        raise refuse("invalid_parameter", f"it must be a list of 1 to {MAX_TENANTS} tenants", "/tenants")
    ids = [each.get("tenant_id") if isinstance(each, dict) else None for each in rows]
    pointers = [join_pointer("tenants", index, "tenant_id") for index in range(len(rows))]
    if faults := [
        Fault("invalid_parameter", "it must be the id of a tenant", pointer)
        for id, pointer in zip(ids, pointers, strict=True)
        if not isinstance(id, str) or not id.strip()
    ]:
        raise Refusal(faults)
    trimmed = (id if request.is_typed else str(id).strip() for id in ids)
    return _parse_operations(request, [_addition(id, row) for id, row in zip(trimmed, rows, strict=True)])


def parse_addition(request: Request) -> ParsedRequest:
    """Parse PUT of one tenant, with or without a profile."""
    return _parse_operations(request, [_addition(decode_name(request, "tenant_id"), request.tree)])


def parse_removal(request: Request) -> ParsedRequest:
    """Parse DELETE of one tenant of a user, or of all. Neither need exist."""
    tenant = [decode_name(request, "tenant_id")] if "tenant_id" in request.path else []
    operation = {"function": "set", "pointer": join_pointer(*PLACE, *tenant), "value": None}
    return parsed_request(request, {"operations": [operation], "missing_ok": True})


def parse_users(request: Request) -> ParsedRequest:
    """Parse GET of the users of a tenant."""
    tenant = decode_name(request, "tenant_id")
    where = {"path": [*PLACE, tenant], "test": "exists", "value": True}
    return parse_page(request, where, tenant=tenant, url=request.target.partition("?")[0])


def _addition(id: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    profile = row.get("profile")
    value = {} if profile is None else {"profile": profile}
    return {"function": "set", "pointer": join_pointer(*PLACE, id), "value": value}


def _parse_operations(request: Request, operations: list[dict[str, Any]]) -> ParsedRequest:
    return parsed_request(request, {"operations": operations, "if_absent": "create"})


def render_tenants(result: Result) -> Reply:
    """Render the tenants of a user, all on one page."""
    (profile,) = result.outcomes
    user = result.context["user"]
    items = [_render(tenant, user, profile) for tenant in _tenants(profile)] if isinstance(profile, Profile) else []
    return Reply(
        200, {"items": items, "has_more": False, "type": "list", "url": f"/users/{quote(user, safe='')}/tenants"}
    )


def render_users(result: Result) -> Reply:
    """Render a page of the users of a tenant."""
    page, cursor = page_of(result)
    url, tenant, size = (result.context[name] for name in ("url", "tenant", "size"))
    items = [_render(tenant, each.document["external_id"], each) for each in page]
    following = {"cursor": cursor, "next_url": f"{url}?limit={size}&cursor={cursor}"} if cursor else {}
    return Reply(200, {"items": items, "has_more": bool(cursor), "type": "list", "url": url, **following})


def _tenants(profile: Profile) -> Mapping[str, Any]:
    tenants: Mapping[str, Any] = profile.document.get(USERS, {}).get("tenants", {})
    return tenants


def _render(tenant: str, user: str, profile: Profile) -> dict[str, Any]:
    own = _tenants(profile)[tenant].get("profile", {})
    return {"tenant_id": tenant, "user_id": user, "type": "user", "profile": own}
