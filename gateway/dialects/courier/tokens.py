"""Push tokens of a user: canonical subscriptions of channel `push`, and what only Courier has of a device.

Source: https://www.courier.com/docs/api-reference/device-tokens, and the vendor's SDKs.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.core.consent import DELETED, status_word, strictest
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Document, Profile, Update
from gateway.core.pointer import join_pointer
from gateway.core.times import format_time, parse_time
from gateway.dialects.courier.fields import USERS
from gateway.dialects.courier.requests import (
    decode_name,
    parse_list,
    parse_operations,
    parsed_request,
    require,
)
from gateway.dialects.protocol import ParsedRequest, Reply, Request, Result

MAX_TOKENS = 100
LIFETIME_MS = 60 * 24 * 60 * 60 * 1000
"""After this time a token without an expiry date expires."""

DATA = ("device", "expiry_date", "properties", "tracking")
MEMBERS = ("token", "provider_key", *DATA)
STATE = ("status", "status_reason")
RECORDED = "recorded"
"""The member of what is stored of a token with the time of its registration."""

_SERVICES = {"firebase-fcm": "firebase", "apn": "apns"}
_PLATFORMS = {"ios": "ios", "ipados": "ios", "android": "android"}
_DEFAULT_PLATFORMS = {"firebase": "android", "apns": "ios"}
PROVIDERS = {
    f"{platform}-{service}": (key, platform) for key, service in _SERVICES.items() for platform in ("ios", "android")
}
"""By provider of a canonical subscription, Courier's word for it, and the platform."""

_STATUSES: Mapping[str | None, str] = {
    None: "active",
    "subscribed": "active",
    **dict.fromkeys(("invalid", "hardbounced"), "failed"),
    **dict.fromkeys(("unsubscribed", "complained", "unconfirmed", "suspended"), "revoked"),
}
_CANONICAL_STATUSES = {"active": "subscribed", "revoked": "unsubscribed", "failed": "invalid"}


class DeviceToken(Struct, frozen=True):
    """A push token: the address of a subscription."""

    provider: str
    token: str

    @property
    def subscription(self) -> dict[str, Any]:
        return {"channel": "push", "provider": self.provider, "subscription_id": self.token}

    @property
    def path(self) -> tuple[str, str, str]:
        """The place in a document of what only Courier has."""
        id = urlsafe_b64encode(f"{self.provider}:{self.token}".encode()).decode().rstrip("=")
        return USERS, "tokens", id


# --- requests ---


def parse_search(request: Request) -> ParsedRequest:
    """Parse GET of the tokens of a user, or of one. A user who is not known has none."""
    token = decode_name(request, "token") if "token" in request.path else None
    parsed = parsed_request(request, {"missing_ok": True}, token=token, now=request.now)
    return ParsedRequest(None, parsed.commands, parsed.context, needs_consent=True)


def parse_tokens(request: Request) -> ParsedRequest:
    """Parse PUT of many tokens, in an object or as a bare list. Others of the user stay."""
    bare = isinstance(request.tree, list)
    tokens = parse_list(request.tree if bare else require(request.tree, "tokens"), request.is_typed)
    if not isinstance(tokens, list) or not 0 < len(tokens) <= MAX_TOKENS:
        raise refuse("invalid_parameter", f"it must be a list of 1 to {MAX_TOKENS} tokens", "/tokens")
    return _parse_registrations(request, [(each, f"/tokens/{index}") for index, each in enumerate(tokens)])


def parse_token(request: Request) -> ParsedRequest:
    """Parse PUT of one token. The body may repeat the token of the path."""
    token = decode_name(request, "token")
    if request.tree.get("token", token) != token:
        raise refuse("invalid_parameter", "it must be the token of the path", "/token")
    return _parse_registrations(request, [({**request.tree, "token": token}, "")])


def parse_patch(request: Request) -> ParsedRequest:
    """Parse PATCH of one token: JSON Patch operations."""
    target = ["tokens", decode_name(request, "token")]
    patch = parse_operations(request, lambda name: (USERS, "tokens", "", name))
    return parsed_request(request, {"patch": patch, "patch_target": target})


def parse_removal(request: Request) -> ParsedRequest:
    """Parse DELETE of one token, which need not exist."""
    target = ["removal", decode_name(request, "token")]
    return parsed_request(request, {"patch": [], "patch_target": target, "missing_ok": True})


def _parse_registrations(request: Request, tokens: list[tuple[Any, str]]) -> ParsedRequest:
    """Return the update that registers tokens, each given with its pointer. The consent for a token stays as it is."""
    faults: list[Fault] = []
    parts: dict[str, Any] = {"subscriptions": [], "operations": [], "timestamps": []}
    for value, pointer in tokens:
        token, data = _parse_registration(value, pointer, request.is_typed, faults)
        place = join_pointer(*token.path)
        parts["subscriptions"].append(token.subscription)
        parts["operations"].append({"function": "set", "pointer": place, "value": data})
        parts["timestamps"].append(f"{place}/{RECORDED}")
    if faults:
        raise Refusal(faults)
    return parsed_request(request, {**parts, "if_absent": "create"})


def _parse_registration(
    value: Any, pointer: str, is_typed: bool, faults: list[Fault]
) -> tuple[DeviceToken, dict[str, Any]]:
    """Return the token of a body, and what Courier keeps of it. Both are usable only if there are no faults."""
    if not isinstance(value, dict):
        faults.append(Fault("invalid_parameter", "it must be an object", pointer))
        return DeviceToken("", ""), {}
    faults += [
        Fault("unknown_field", pointer=pointer + join_pointer(name)) for name in value if name not in (*MEMBERS, *STATE)
    ]
    texts = [_parse_text(value.get(name), f"{pointer}/{name}", is_typed, faults) for name in MEMBERS[:2]]
    data = {name: value[name] for name in DATA if value.get(name) is not None and value[name] != ""}
    data |= {name: _without_nulls(data[name]) for name in ("device", "tracking") if name in data}
    check_expiry(data, f"{pointer}/expiry_date", faults)
    device = data.get("device")
    platform = device.get("platform") if isinstance(device, dict) else None
    return DeviceToken(provider_of(texts[1], platform), texts[0]), data


def _parse_text(value: Any, pointer: str, is_typed: bool, faults: list[Fault]) -> str:
    text = value.strip() if isinstance(value, str) and not is_typed else value
    if isinstance(text, str) and text:
        return str(text)
    faults.append(
        Fault("missing_parameter", "it is missing", pointer)
        if text in (None, "")
        else Fault("invalid_parameter", "it must be a string", pointer)
    )
    return ""


def _without_nulls(value: Any) -> Any:
    return {name: each for name, each in value.items() if each is not None} if isinstance(value, dict) else value


def check_expiry(data: Mapping[str, Any], pointer: str, faults: list[Fault]) -> None:
    """Add a fault if an expiry date is neither a time (ISO 8601) nor false."""
    value = data.get("expiry_date", False)
    if value is False or value == "false" or (isinstance(value, str) and _parse_date(value) is not None):
        return
    faults.append(Fault("invalid_parameter", "it must be a time (ISO 8601), or false for never", pointer))


def _parse_date(text: str) -> int | None:
    try:
        return parse_time(text.strip())
    except ValueError:
        return None


def provider_of(key: str, platform: Any) -> str:
    """Return the provider of a canonical subscription. Any other word of Courier is itself one."""
    service = _SERVICES.get(key)
    if service is None:
        return key
    known = _PLATFORMS.get(platform.strip().lower()) if isinstance(platform, str) else None
    return f"{known or _DEFAULT_PLATFORMS[service]}-{service}"


# --- patches ---


def resolve_patch(document: Document, text: str, patch: Sequence[Any], apply: Callable[[Any], Any]) -> Update:
    """Return what a patch of one token writes. Raises `Refusal`: unknown_subscription, and those of the patch."""
    found = tokens_of(document).get(text)
    if found is None:
        raise token_not_found()
    before = {**_render_token(*found, document), **_render_state(*found, document)}
    sets_status = any(each["path"] == "/status" and each["op"] in ("add", "replace") for each in patch)
    return _changed(found[0], before, apply(before), sets_status=sets_status)


def resolve_removal(document: Document, text: str) -> Update:
    """Return what the removal of a token writes: nothing if the user does not have it."""
    if text not in (found := tokens_of(document)):
        return {}
    token, _ = found[text]
    clearing = {"function": "set", "pointer": join_pointer(*token.path), "value": None}
    return {"remove_subscriptions": [token.subscription], "operations": [clearing]}


def _changed(token: DeviceToken, before: Mapping[str, Any], after: Any, *, sets_status: bool) -> Update:
    """Return the update from one view of a token to another. Only a status that is set is consent, or takes it back."""
    if not isinstance(after, dict):
        raise refuse("invalid_patch", "what it leaves is not an object", "/patch")
    faults = [
        Fault("invalid_parameter", "it cannot be changed", f"/{name}")
        for name in MEMBERS[:2]
        if after.get(name) != before.get(name)
    ]
    faults += [Fault("unknown_field", pointer=join_pointer(name)) for name in after if name not in (*MEMBERS, *STATE)]
    status = after.get("status")
    canonical = _CANONICAL_STATUSES.get(status) if isinstance(status, str) else None
    is_set = sets_status or status != before["status"]
    if is_set and canonical is None:
        faults.append(Fault("invalid_parameter", f"it must be one of {', '.join(_CANONICAL_STATUSES)}", "/status"))
    data = {name: after[name] for name in (*DATA, "status_reason") if after.get(name) is not None}
    check_expiry(data, "/expiry_date", faults)
    if faults:
        raise Refusal(faults)
    new = {"status": canonical} if is_set else {}
    operations = [
        {"function": "set", "pointer": join_pointer(*token.path, name), "value": data.get(name)}
        for name in (*DATA, "status_reason")
        if after.get(name) != before.get(name)
    ]
    return {"subscriptions": [{**token.subscription, **new}], "operations": operations}


# --- replies ---


def render_tokens(result: Result) -> Reply:
    """Render the tokens of a user."""
    document = _document(result)
    return Reply(200, {"tokens": [_render_token(*each, document) for each in tokens_of(document).values()]})


def render_token(result: Result) -> Reply:
    """Render one token with its status. Raises `Refusal`: unknown_subscription."""
    document = _document(result)
    found = tokens_of(document).get(result.context["token"])
    if found is None:
        raise token_not_found()
    state = _render_state(*found, document, result.context["now"])
    return Reply(200, {**_render_token(*found, document), **state})


def token_not_found() -> Refusal:
    """Return the refusal of a token that the user does not have, to be raised."""
    return refuse("unknown_subscription", "Token not found")


def _document(result: Result) -> Document:
    (profile,) = result.outcomes
    return profile.document if isinstance(profile, Profile) else {}


def tokens_of(document: Document) -> dict[str, tuple[DeviceToken, Any]]:
    """Return the tokens of a document with their statuses. Of several subscriptions, the strictest status counts."""
    found: dict[str, tuple[DeviceToken, Any]] = {}
    for each in document.get("subscriptions", ()):
        if each["channel"] == "push" and DELETED not in each:
            token, status = DeviceToken(each["provider"], each["subscription_id"]), each.get("status")
            first, former = found.get(token.token, (token, None))
            found[token.token] = first, strictest(former, status)
    return found


def _data(token: DeviceToken, document: Document) -> Mapping[str, Any]:
    space, member, id = token.path
    data: Mapping[str, Any] = document.get(space, {}).get(member, {}).get(id, {})
    return data


def _render_token(token: DeviceToken, _status: Any, document: Document) -> dict[str, Any]:
    """Return the members that a token has in a list of them."""
    data = _data(token, document)
    key, platform = PROVIDERS.get(token.provider, (token.provider, None))
    view = {"token": token.token, "provider_key": key, **{name: data[name] for name in DATA if name in data}}
    if platform and "device" not in data:
        view["device"] = {"platform": platform}
    if "expiry_date" not in data and RECORDED in data:
        view["expiry_date"] = format_time(data[RECORDED] + LIFETIME_MS)
    return view


def _render_state(token: DeviceToken, status: Any, document: Document, now: int | None = None) -> dict[str, Any]:
    """Return the status of a token, and its reason. At `now` (ms), one whose date has passed has expired."""
    data = _data(token, document)
    date = _render_token(token, status, document).get("expiry_date")
    expires = _parse_date(date) if isinstance(date, str) else None
    if now is not None and expires is not None and expires <= now:
        return {"status": "revoked", "status_reason": "expired"}
    reason = {"status_reason": data["status_reason"]} if "status_reason" in data else {}
    return {"status": _STATUSES[status_word(status)], **reason}
