"""Courier's calls: method, path, operation, right, and the functions that parse and render each."""

from functools import partial

from msgspec.structs import replace

from gateway.core.rights import DELETE, READ, WRITE
from gateway.dialects.courier import client_query, lists, preferences, replies, requests, tenants, tokens
from gateway.dialects.protocol import (
    ATOMIC,
    DECLARE_SEGMENT,
    DESCRIBE,
    FIND,
    LIST,
    REMOVE,
    REPLACE_MEMBERS,
    UPDATE,
    Call,
)

PROFILE = "/profiles/{recipient_id}"
LISTS = f"{PROFILE}/lists"
USER = "/users/{user_id}"
TOKENS, TOKEN = f"{USER}/tokens", f"{USER}/tokens/{{token}}"
TOPICS, TOPIC = f"{USER}/preferences", f"{USER}/preferences/{{topic_id}}"
TENANTS, TENANT = f"{USER}/tenants", f"{USER}/tenants/{{tenant_id}}"
LIST_OF_USERS = "/lists/{list_id}"
SUBSCRIPTIONS, SUBSCRIPTION = f"{LIST_OF_USERS}/subscriptions", f"{LIST_OF_USERS}/subscriptions/{{user_id}}"

LIST_RATES = ("20/minute",)

_parse_merge = partial(requests.parse_profile, requests.merge_members)
_parse_replacement = partial(requests.parse_profile, requests.replacement_members)

_PROFILE_CALLS = (
    Call("POST", PROFILE, UPDATE, WRITE, _parse_merge, replies.render_success),
    Call("PUT", PROFILE, UPDATE, WRITE, _parse_replacement, replies.render_success),
    Call("PATCH", PROFILE, UPDATE, WRITE, requests.parse_patch, replies.render_success, body_types=(dict, list)),
    Call("GET", PROFILE, FIND, READ, requests.parse_search, replies.render_profile),
    Call("DELETE", PROFILE, REMOVE, DELETE, requests.parse_optional_search, replies.render_success),
    Call("GET", LISTS, FIND, READ, requests.parse_optional_search, replies.render_lists),
    Call("POST", LISTS, UPDATE, WRITE, requests.parse_subscription, replies.render_success),
    Call("DELETE", LISTS, UPDATE, WRITE, requests.parse_unsubscription, replies.render_success),
)

_USER_CALLS = (
    Call("GET", TOKENS, FIND, READ, tokens.parse_search, tokens.render_tokens),
    Call("PUT", TOKENS, UPDATE, WRITE, tokens.parse_tokens, replies.render_no_content, body_types=(dict, list)),
    Call("GET", TOKEN, FIND, READ, tokens.parse_search, tokens.render_token),
    Call("PUT", TOKEN, UPDATE, WRITE, tokens.parse_token, replies.render_no_content),
    Call("PATCH", TOKEN, UPDATE, WRITE, tokens.parse_patch, replies.render_no_content, body_types=(dict, list)),
    Call("DELETE", TOKEN, UPDATE, WRITE, tokens.parse_removal, replies.render_no_content),
    Call("GET", TOPICS, FIND, READ, preferences.parse_list_of_topics, preferences.render_topics),
    Call(
        "PUT", TOPICS, UPDATE, WRITE, preferences.parse_replacement, preferences.render_replacement, shows_profile=True
    ),
    Call("POST", TOPICS, UPDATE, WRITE, preferences.parse_choices, preferences.render_choices, shows_profile=True),
    Call("GET", TOPIC, FIND, READ, preferences.parse_search, preferences.render_topic),
    Call("PUT", TOPIC, UPDATE, WRITE, preferences.parse_choice, preferences.render_message),
    Call("DELETE", TOPIC, UPDATE, WRITE, preferences.parse_reset, replies.render_no_content),
    Call("GET", TENANTS, FIND, READ, tenants.parse_search, tenants.render_tenants),
    Call("PUT", TENANTS, UPDATE, WRITE, tenants.parse_additions, replies.render_no_content),
    Call("DELETE", TENANTS, UPDATE, WRITE, tenants.parse_removal, replies.render_no_content),
    Call("PUT", TENANT, UPDATE, WRITE, tenants.parse_addition, replies.render_no_content, is_body_optional=True),
    Call("DELETE", TENANT, UPDATE, WRITE, tenants.parse_removal, replies.render_no_content),
    Call("GET", "/tenants/{tenant_id}/users", LIST, READ, tenants.parse_users, tenants.render_users),
)

_LIST_CALLS = (
    Call("GET", "/lists", DESCRIBE, READ, lists.parse_lists, lists.render_lists),
    Call("GET", "/audiences", DESCRIBE, READ, lists.parse_audiences, lists.render_audiences),
    Call("GET", LIST_OF_USERS, LIST, READ, lists.parse_search, lists.render_list),
    Call(
        "PUT",
        LIST_OF_USERS,
        DECLARE_SEGMENT,
        WRITE,
        lists.parse_declaration,
        replies.render_no_content,
        rates=LIST_RATES,
    ),
    Call("DELETE", LIST_OF_USERS, DECLARE_SEGMENT, DELETE, lists.parse_archive, replies.render_no_content),
    Call(
        "PUT",
        f"{LIST_OF_USERS}/restore",
        DECLARE_SEGMENT,
        WRITE,
        lists.parse_restore,
        replies.render_no_content,
        is_body_optional=True,
    ),
    Call("GET", SUBSCRIPTIONS, LIST, READ, lists.parse_search, lists.render_subscriptions),
    Call("POST", SUBSCRIPTIONS, ATOMIC, WRITE, lists.parse_additions, replies.render_no_content, rates=LIST_RATES),
    Call(
        "PUT",
        SUBSCRIPTIONS,
        REPLACE_MEMBERS,
        WRITE,
        lists.parse_replacement,
        replies.render_no_content,
        rates=LIST_RATES,
    ),
    Call("PUT", SUBSCRIPTION, UPDATE, WRITE, lists.parse_addition, replies.render_no_content, is_body_optional=True),
    Call("DELETE", SUBSCRIPTION, UPDATE, WRITE, lists.parse_removal, replies.render_no_content),
    Call(
        "PUT",
        "/client/lists/{list_id}/subscribe/{user_id}",
        UPDATE,
        WRITE,
        lists.parse_addition,
        replies.render_no_content,
        is_body_optional=True,
    ),
    Call(
        "DELETE",
        "/client/lists/{list_id}/unsubscribe/{user_id}",
        UPDATE,
        WRITE,
        lists.parse_optional_removal,
        replies.render_no_content,
    ),
)

_POINTERS = {"/match": "/user_id", "/segments/add/0": "/list_id", "/segment/id": "/list_id", "/segment/": "/"}
"""The canonical pointers for which the calls on users and lists have a name in the path."""


_QUERY = Call(
    *("POST", "/client/q", FIND, READ, client_query.parse_query, client_query.render_query),
    max_body_bytes=client_query.MAX_BODY,
    user=client_query.parse_user,
    has_cors=True,
    render_faults=client_query.render_faults,
)
_MUTATION = replace(
    _QUERY,
    operation=UPDATE,
    right=WRITE,
    parse=client_query.parse_mutation,
    render=client_query.render_mutation,
    shows_profile=True,
    variant=lambda request: _QUERY if client_query.is_query(request) else None,
)


def _for_users(call: Call) -> Call:
    """Return a call as one that a user's token opens, if it is. The vendor's library for browsers makes some of them.

    Who a user is, and to which tenants a user belongs, is the operator's to say: these calls only read.
    """
    is_own = call.path.startswith((f"{USER}/", "/client/")) or call.path in (SUBSCRIPTION, PROFILE, LISTS)
    if not is_own or (call.right != READ and call.path in (PROFILE, LISTS, TENANTS, TENANT)):
        return call
    return replace(call, user=requests.path_user)


def _for_pages(call: Call) -> Call:
    return replace(call, has_cors=call.path.startswith(("/users/", "/client/")))


CALLS: tuple[Call, ...] = (
    *(
        _for_pages(_for_users(call))
        for call in (
            *_PROFILE_CALLS,
            *(replace(call, pointers=_POINTERS) for call in (*_USER_CALLS, *_LIST_CALLS)),
        )
    ),
    _MUTATION,
)
