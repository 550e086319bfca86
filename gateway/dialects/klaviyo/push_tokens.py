"""Push tokens: the devices that a profile can be reached at, as resources of their own, there and back.

A token is the canonical subscription of channel `push`, its provider spelled as Altcraft's clients know it. What this
vendor alone knows of one, its states, its device and its times, stands under `klaviyo`, by the token's id.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Document, Profile, Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.jsonapi.cursors import page, related_links, single
from gateway.dialects.klaviyo.jsonapi.documents import Faults, attributes_of, object_, resource, type_faults
from gateway.dialects.klaviyo.jsonapi.filters import conditions, listing, related
from gateway.dialects.klaviyo.jsonapi.links import about, parameters, wrong
from gateway.dialects.klaviyo.replies import resource_of
from gateway.dialects.klaviyo.requests import KEEP, REJECT, SET_ONCE, naming
from gateway.dialects.klaviyo.times import shown_time
from gateway.dialects.klaviyo.writing import writing
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

PROVIDERS = {
    "android-firebase": ("android", "fcm"),
    "ios-firebase": ("ios", "fcm"),
    "ios-apns": ("ios", "apns"),
    "android-apns": ("android", "apns"),
}
"""By the provider of a subscription, platform and vendor."""

STATES = {
    "enablement_status": ("AUTHORIZED", "DENIED", "NOT_DETERMINED", "PROVISIONAL", "UNAUTHORIZED"),
    "background": ("AVAILABLE", "DENIED", "RESTRICTED"),
}
"""What each state may be; the first is meant where nothing is said."""

DEVICE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("device_id", "sdk_version", "device_model", "os_version", "manufacturer"), ()),
    **dict.fromkeys(("app_name", "app_version", "app_build", "app_id"), ()),
    "klaviyo_sdk": ("android", "flutter", "flutter_community", "react_native", "swift"),
    "os_name": ("android", "ios", "ipados", "macos", "tvos"),
    "environment": ("debug", "release"),
}
"""What may be told of a device, and the words that it may be told in, where not any."""

FILTERS: dict[str, tuple[str, ...]] = dict.fromkeys(("profile.id", "enablement_status", "platform"), ("equals",))
FIELDS_OF_TOKEN = "fields[push-token]"
_AT, _PROFILE, _DEVICE = "/data/attributes", "/data/attributes/profile", "/data/attributes/device_metadata"


@dataclass(frozen=True, slots=True)
class Token:
    """One token and what it is a token of, which together are the address of a subscription."""

    provider: str
    token: str

    @property
    def id(self) -> str:
        """Its id, out of which it can be read again: a token is found without a table of its own."""
        return urlsafe_b64encode(f"{self.provider}:{self.token}".encode()).decode().rstrip("=")

    @property
    def address(self) -> dict[str, str]:
        return {"channel": "push", "provider": self.provider, "subscription_id": self.token}

    @property
    def match(self) -> dict[str, Any]:
        return {"mode": "push_sub", "values": {"provider": self.provider, "subscription_id": self.token}}

    @property
    def place(self) -> str:
        """Where what is known of it stands in a profile."""
        return join_pointer("klaviyo", "push_tokens", self.id)

    @property
    def end(self) -> Update:
        """The parts of an update that take it from a profile."""
        return {
            "remove_subscriptions": [self.address],
            "operations": [{"function": "set", "pointer": self.place, "value": None}],
        }


# --- requests ---


def registration(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/push-tokens`: a profile, which is imported, takes the token from whoever had it."""
    return _registered(incoming, {"on_conflict": REJECT}, {})


def client(incoming: Request) -> ParsedRequest:
    """Reads `POST /client/push-tokens`: the same, but no identifier is taken from anybody, nor changed."""
    return _registered(incoming, {"on_conflict": KEEP, "set_once": SET_ONCE}, {"on_multiple": "first"})


def unregistration(incoming: Request) -> ParsedRequest:
    """Reads `POST /client/push-token-unregister`; a token that nobody has is none any more."""
    data, faults = resource(incoming, "push-token-unregister")
    token = _token(attributes_of(data, faults), faults)
    if faults:
        raise Refusal(faults)
    match = {**token.match, "on_multiple": "first"}
    return ParsedRequest(None, [ParsedCommand({"match": match, "missing_ok": True, **token.end})])


def one(incoming: Request) -> ParsedRequest:
    """Reads `GET /api/push-tokens/{id}` and what asks for its profile."""
    token = _named(incoming)
    return ParsedRequest(
        None, [ParsedCommand({"match": token.match})], {**about(incoming), **_wanted(incoming), "token": token}
    )


def removal(incoming: Request) -> ParsedRequest:
    """Reads `DELETE /api/push-tokens/{id}`."""
    token = _named(incoming)
    return ParsedRequest(None, [ParsedCommand({"match": token.match, **token.end})])


def of_profile(incoming: Request) -> ParsedRequest:
    """Reads `GET /api/profiles/{id}/push-tokens`: all of them fit one page."""
    asked = related(incoming)
    return ParsedRequest(None, asked.commands, {**asked.context, **_wanted(incoming)})


def many(incoming: Request) -> ParsedRequest:
    """Reads `GET /api/push-tokens`. A page goes through as many profiles as its size says, and shows their tokens."""
    given = parameters(incoming)
    found = conditions(given.get("filter", ""), FILTERS)
    ids = [list(each.values) for each in found if each.field == "profile.id"]
    states = [(each.field, each.values[0]) for each in found if each.field != "profile.id"]
    named = {"filters": [{"profile_id": values} for values in ids]} if ids else {}
    return listing({**given, "sort": "id"}, named, {**about(incoming), **_wanted(incoming), "states": states})


def _wanted(incoming: Request) -> dict[str, Any]:
    given = parameters(incoming)
    names = given[FIELDS_OF_TOKEN].split(",") if FIELDS_OF_TOKEN in given else []
    wanted = {name.strip().partition(".")[0] for name in names}
    if unknown := sorted(wanted - {"id", *_ATTRIBUTES}):
        raise wrong(FIELDS_OF_TOKEN, f"'{unknown[0][:60]}' is not a valid field for the resource 'push-token'.")
    return {"fields of token": wanted}


def _named(incoming: Request) -> Token:
    """The token that the path's id is made of. Raises `Refusal` where it is made of none."""
    id = incoming.path["id"]
    try:
        provider, _, token = urlsafe_b64decode(id + "=" * (-len(id) % 4)).decode().partition(":")
    except (ValueError, binascii.Error):
        provider, token = "", ""
    found = Token(provider, token)
    if provider not in PROVIDERS or not token or found.id != id:
        raise refuse("profile_not_found", "there is no such push token")
    return found


def _registered(incoming: Request, rules: Update, choice: Mapping[str, str]) -> ParsedRequest:
    data, faults = resource(incoming, "push-token")
    attributes = attributes_of(data, faults)
    token, known = _token(attributes, faults), dict(_known(attributes, faults))
    holder = object_(attributes.get("profile"), _PROFILE, faults)
    element = object_(holder.get("data"), f"{_PROFILE}/data", faults)
    inner = Faults(incoming.is_typed, type_faults(element, "profile", "/data"))
    told = attributes_of(element, inner)
    update: Update = {**naming({"id": element.get("id"), **told}, inner), **rules, **writing(told, element, inner)}
    faults += [replace(each, pointer=_PROFILE + each.pointer) for each in inner]
    if faults:
        raise Refusal(faults)
    created, recorded = token.place + "/created", token.place + "/recorded"
    parts = {
        "match": {**update["match"], **choice},
        "operations": [
            *update.get("operations", ()),
            {"function": "set", "pointer": token.place, "value": known},
        ],
        "subscriptions": [token.address],
        "timestamps": [created, recorded],
        "set_once": [*update.get("set_once", ()), created],
        "detach_from_others": {"match": token.match, **token.end},
    }
    return ParsedRequest(None, [ParsedCommand({**update, **parts})])


def _token(attributes: Mapping[str, Any], faults: list[Fault]) -> Token:
    """The token of a body, whatever it is, and what is wrong with it."""
    platform, vendor, token = (attributes.get(name) for name in ("platform", "vendor", "token"))
    for name, value, words in (("platform", platform, ("android", "ios")), ("vendor", vendor, ("apns", "fcm"))):
        if value not in words:
            faults.append(Fault("invalid_parameter", f"it must be {' or '.join(words)}", f"{_AT}/{name}"))
    if not isinstance(token, str) or not token:
        detail = "it is missing" if token in (None, "") else "it must be a string"
        faults.append(Fault("invalid_parameter", detail, f"{_AT}/token"))
    provider = next((name for name, parts in PROVIDERS.items() if parts == (platform, vendor)), "")
    return Token(provider, str(token))


def _known(attributes: Mapping[str, Any], faults: Faults) -> Iterator[tuple[str, Any]]:
    """What else is told of a token: its states, and its device."""
    for name, words in STATES.items():
        value = attributes.get(name)
        yield name, _word(words[0] if value in (None, "") else value, words, f"{_AT}/{name}", faults)
    device = object_(attributes.get("device_metadata"), _DEVICE, faults)
    told = {name: value for name, value in device.items() if value not in (None, "")}
    unknown = [name for name in told if name not in DEVICE]
    faults += [Fault("invalid_parameter", "no such thing is known", _DEVICE + join_pointer(name)) for name in unknown]
    named = [(name, value) for name, value in told.items() if name in DEVICE]
    yield "metadata", {name: _word(value, DEVICE[name], f"{_DEVICE}/{name}", faults) for name, value in named}


def _word(value: Any, words: tuple[str, ...], at: str, faults: list[Fault]) -> Any:
    if not isinstance(value, str) or (words and value not in words):
        detail = f"it must be one of {', '.join(words)}" if words else "it must be a string"
        faults.append(Fault("invalid_parameter", detail, at))
    return value


# --- replies ---


def removed(_answer: Result) -> Reply:
    """204 and no body."""
    return Reply(204, None)


def shown(answer: Result) -> Reply:
    """One token."""
    profile = _profile(answer)
    return Reply(200, single(_resource(answer.context["token"], profile, answer.context)))


def shown_many(answer: Result) -> Reply:
    """A page of tokens, those of each profile together."""
    profiles = [each for each in answer.outcomes if isinstance(each, Profile)]
    states = answer.context["states"]

    def wanted(profile: Profile) -> dict[str, Any]:
        tokens = [(each, _attributes(each, profile)) for each in tokens_of(profile.document)]
        right = [each for each, told in tokens if all(told[name] == value for name, value in states)]
        return {"tokens": [_resource(each, profile, answer.context) for each in right]}

    reply = page(answer.context, profiles, wanted, lambda each, _sort: each.id)
    return Reply(200, {**reply.tree, "data": [each for row in reply.tree["data"] for each in row["tokens"]]})


def shown_of_profile(answer: Result) -> Reply:
    """The tokens of a profile."""
    profile = _profile(answer)
    return _all(answer, [_resource(each, profile, answer.context) for each in tokens_of(profile.document)])


def ids_of_profile(answer: Result) -> Reply:
    """Their identifiers alone."""
    return _all(answer, [{"type": "push-token", "id": each.id} for each in tokens_of(_profile(answer).document)])


def profile(answer: Result) -> Reply:
    """The profile that has a token."""
    return Reply(200, single(resource_of(_profile(answer), answer.context)))


def profile_id(answer: Result) -> Reply:
    """Its identifier alone."""
    links = {"self": answer.context["base"] + answer.context["target"]}
    return Reply(200, {"data": {"type": "profile", "id": _profile(answer).id}, "links": links})


def tokens_of(document: Document) -> list[Token]:
    """Every token that a profile has, once, whichever resources it is subscribed to by it."""
    pushed = (each for each in document.get("subscriptions", ()) if each["channel"] == "push")
    known = (Token(each["provider"], each["subscription_id"]) for each in pushed if each["provider"] in PROVIDERS)
    return list(dict.fromkeys(known))


def _profile(answer: Result) -> Profile:
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    return profile


_ATTRIBUTES = ("created", "token", "enablement_status", "platform", "vendor", "background", "recorded_date", "metadata")


def _attributes(token: Token, profile: Profile) -> dict[str, Any]:
    """All that is known of a token; of one that another dialect wrote, no time is known but its profile's."""
    known = profile.document.get("klaviyo", {}).get("push_tokens", {}).get(token.id, {})
    platform, vendor = PROVIDERS[token.provider]
    return {
        "created": shown_time(known.get("created", profile.created)),
        "token": token.token,
        "platform": platform,
        "vendor": vendor,
        **{name: known.get(name, words[0]) for name, words in STATES.items()},
        "recorded_date": shown_time(known.get("recorded", profile.created)),
        "metadata": {name: known.get("metadata", {}).get(name) for name in DEVICE},
    }


def _resource(token: Token, profile: Profile, about: Mapping[str, Any]) -> dict[str, Any]:
    attributes = _attributes(token, profile)
    wanted = about["fields of token"] or attributes
    link = f"{about['base']}/api/push-tokens/{token.id}"
    related = {"data": {"type": "profile", "id": profile.id}, "links": related_links(link, "profile")}
    return {
        "type": "push-token",
        "id": token.id,
        "attributes": {name: value for name, value in attributes.items() if name in wanted},
        "relationships": {"profile": related},
        "links": {"self": link},
    }


def _all(answer: Result, rows: list[dict[str, Any]]) -> Reply:
    return Reply(200, {"data": rows, "links": {"self": answer.context["base"] + answer.context["target"]}})
