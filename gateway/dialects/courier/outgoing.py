"""Changes of profiles as Courier's requests. Bodies have the same trees in XML and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.core.consent import DELETED, STATUSES, status_word
from gateway.core.model import Tree
from gateway.dialects.courier.fields import FIELD_TYPES, FIELDS, NAMESPACE, PHONES, USERS
from gateway.dialects.courier.outgoing_lists import MEMBERSHIPS, add_list_requests, opts_out
from gateway.dialects.courier.outgoing_users import add_user_requests
from gateway.dialects.courier.tokens import PROVIDERS
from gateway.dialects.outgoing import Outgoing, OutgoingRequest, Path, ProfileState, Rendered, Target, VendorAnswer

RATES = ("50/second",)
"""The vendor names no limit of profiles. It is a share that leaves room for the account's other users."""

_NAMES: Mapping[str, str] = {path[0]: name for name, path in FIELDS.items()}
"""The vendor's name of each member of a document."""

_BESIDE = ("external_id", "subscriptions", "segments", MEMBERSHIPS, USERS)
"""Members of a document that are not in the body of a profile: they have calls of their own."""


def headers(secret: str) -> Mapping[str, str]:
    """Return the headers that have the API key."""
    return {"authorization": f"Bearer {secret}"}


def render_change(state: ProfileState, target: Target) -> Rendered:
    """Return the request that merges the touched members, or replaces all, and those on tokens, lists and topics."""
    id = _id(state)
    rendered = Rendered(vendor_id=id)
    if state.vendor_id not in (None, id):
        rendered.requests.append(_deletion(str(state.vendor_id)))
    profile = _render_profile(state, rendered)
    if target.replaces:
        rendered.requests.append(OutgoingRequest("PUT", _profile(id), {"profile": _without_nulls(profile)}, RATES))
    else:
        rendered.requests.append(OutgoingRequest("POST", _profile(id), {"profile": profile}, RATES, has_key=True))
    add_user_requests(id, state, rendered, RATES)
    if ("subscriptions",) in state.touched:
        _add_subscriptions(state, target, rendered)
    add_list_requests(id, state, target, rendered, RATES)
    return rendered


def render_removal(state: ProfileState, _target: Target, _is_erasure: bool) -> Rendered:
    """Return the requests that delete a profile, and its tokens before it."""
    id = state.vendor_id or _id(state)
    tokens = [each for each in state.document.get("subscriptions", ()) if each["channel"] == "push"]
    return Rendered([*(_token_deletion(id, each) for each in tokens), _deletion(id)])


def render_merge(_source: str, _destination: str, _target: Target, _removes: bool) -> list[OutgoingRequest]:
    """Return nothing: the vendor has no merge."""
    return []


def parse_answer(status: int, tree: Tree) -> VendorAnswer:
    """Read a reply. Its message begins with the names of a field: `profile.gender: it must be a string`."""
    words = str(tree.get("message") or "") if isinstance(tree, dict) else ""
    place, colon, _ = words.partition(":")
    parent, _, name = place.partition(".")
    return VendorAnswer(status, words, refused=name.partition(".")[0] if colon and parent == "profile" else None)


def _id(state: ProfileState) -> str:
    return str(state.document.get("external_id") or state.id)


def _profile(id: str) -> str:
    return f"/profiles/{quote(id, safe='')}"


def _deletion(id: str) -> OutgoingRequest:
    return OutgoingRequest("DELETE", _profile(id), None, RATES, missing_ok=True)


# --- the profile ---


def _render_profile(state: ProfileState, rendered: Rendered) -> dict[str, Any]:
    """Return the members of a merge patch for what was touched."""
    profile: dict[str, Any] = {}
    for path in state.touched:
        name = path[1] if path[0] == NAMESPACE else _NAMES.get(path[0])
        if path[0] in _BESIDE:
            continue
        value = _first(state.value(path)) if path[0] == PHONES else state.value(path)
        if name is None or name in state.omitted or not _has_type(path, name, value):
            rendered.skip(*path)
        elif len(path) == 2 and path[0] != NAMESPACE:
            profile.setdefault(name, {})[path[1]] = _as_patch(value, state.former.get(path, ()))
        else:
            profile[name] = _as_patch(value, state.former.get(path, ()))
    return profile


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _has_type(path: Path, name: str, value: Any) -> bool:
    if path[0] == NAMESPACE:
        return name not in FIELDS
    return value is None or len(path) == 2 or isinstance(value, FIELD_TYPES.get(name, object))


def _as_patch(value: Any, former: Sequence[Any]) -> Any:
    """Return a value as a merge patch (RFC 7396) that replaces each former one: members that went are null."""
    if not isinstance(value, dict):
        return value
    olds = [each for each in former if isinstance(each, dict)]
    gone = {name: None for each in olds for name in each if name not in value}
    return {**gone, **{name: _as_patch(one, [old.get(name) for old in olds]) for name, one in value.items()}}


def _without_nulls(value: Any) -> Any:
    """Return what a merge patch writes to an empty value (RFC 7396)."""
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(each) for name, each in value.items() if each is not None}


# --- tokens and topics ---


def _add_subscriptions(state: ProfileState, target: Target, rendered: Rendered) -> None:
    """Add the requests on push tokens, and on the topics of resources. There is no other consent."""
    id, now = _id(state), state.document.get("subscriptions", ())
    for each in state.changed("subscriptions"):
        topic = target.topics.get(str(each.get("resource_id", "")))
        if each["channel"] == "push" and DELETED not in each:
            rendered.requests += _token_requests(id, each, state)
        elif topic and (state.is_consent or not _is_subscribed(each)):
            rendered.requests.append(_topic_request(id, topic, each))
        elif each["channel"] != "push":
            rendered.skip("subscriptions")
    present = [each["subscription_id"] for each in now if each["channel"] == "push" and DELETED not in each]
    ended = [each for each in [*state.ended("subscriptions"), *now] if each["channel"] == "push"]
    rendered.requests += [_token_deletion(id, each) for each in ended if each["subscription_id"] not in present]


def _token_requests(id: str, subscription: Mapping[str, Any], state: ProfileState) -> list[OutgoingRequest]:
    """Return the request that registers a token, and the one that says that it is not used any more."""
    key, platform = PROVIDERS.get(subscription["provider"], (subscription["provider"], None))
    device = {"device": {"platform": platform}} if platform else {}
    path = _token(id, subscription)
    requests = [OutgoingRequest("PUT", path, {"provider_key": key, **device}, RATES)]
    word = status_word(subscription.get("status"))
    if word and (state.is_consent or word != STATUSES[0]):
        status = _TOKEN_STATUSES.get(word, "revoked")
        patch = {"patch": [{"op": "replace", "path": "/status", "value": status}]}
        requests.append(OutgoingRequest("PATCH", path, patch, RATES))
    return requests


_TOKEN_STATUSES = {STATUSES[0]: "active", "invalid": "failed", "hardbounced": "failed"}


def _token(id: str, subscription: Mapping[str, Any]) -> str:
    return f"/users/{quote(id, safe='')}/tokens/{quote(subscription['subscription_id'], safe='')}"


def _token_deletion(id: str, subscription: Mapping[str, Any]) -> OutgoingRequest:
    return OutgoingRequest("DELETE", _token(id, subscription), None, RATES, missing_ok=True)


def _topic_request(id: str, topic: str, subscription: Mapping[str, Any]) -> OutgoingRequest:
    body = {"topic": {"status": "OPTED_IN" if _is_subscribed(subscription) else "OPTED_OUT"}}
    return OutgoingRequest("PUT", f"/users/{quote(id, safe='')}/preferences/{quote(topic, safe='')}", body, RATES)


def _is_subscribed(subscription: Mapping[str, Any]) -> bool:
    return status_word(subscription.get("status")) in (None, STATUSES[0]) and DELETED not in subscription


OUTGOING = Outgoing(
    headers,
    render_change,
    render_removal,
    render_merge,
    parse_answer,
    choices=(MEMBERSHIPS, USERS),
    opts_out=opts_out,
)
