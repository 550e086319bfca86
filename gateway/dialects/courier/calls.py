"""Courier's calls: method, path, operation, right, and the functions that parse and render each."""

from functools import partial

from gateway.core.model import DELETE, READ, WRITE
from gateway.dialects.courier import replies, requests
from gateway.dialects.protocol import FIND, REMOVE, UPDATE, Call

PROFILE = "/profiles/{recipient_id}"
LISTS = f"{PROFILE}/lists"

_parse_merge = partial(requests.parse_profile, requests.merge_members)
_parse_replacement = partial(requests.parse_profile, requests.replacement_members)

CALLS: tuple[Call, ...] = (
    Call("POST", PROFILE, UPDATE, WRITE, _parse_merge, replies.render_success),
    Call("PUT", PROFILE, UPDATE, WRITE, _parse_replacement, replies.render_success),
    Call("PATCH", PROFILE, UPDATE, WRITE, requests.parse_patch, replies.render_success, body_types=(dict, list)),
    Call("GET", PROFILE, FIND, READ, requests.parse_search, replies.render_profile),
    Call("DELETE", PROFILE, REMOVE, DELETE, requests.parse_optional_search, replies.render_success),
    Call("GET", LISTS, FIND, READ, requests.parse_optional_search, replies.render_lists),
    Call("POST", LISTS, UPDATE, WRITE, requests.parse_subscription, replies.render_success),
    Call("DELETE", LISTS, UPDATE, WRITE, requests.parse_unsubscription, replies.render_success),
)
