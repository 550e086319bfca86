"""Changes of profiles as Klaviyo's requests, in the form of one revision."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.core.consent import DELETED
from gateway.core.model import Tree
from gateway.core.pointer import split_pointer
from gateway.dialects.klaviyo.call_groups import BULK_RATES, DEFAULT_RATES, PRIVACY_RATES
from gateway.dialects.klaviyo.devices import PROVIDERS, STATES, PushToken
from gateway.dialects.klaviyo.fields import COORDINATES, FIELDS, NAMESPACE
from gateway.dialects.klaviyo.outgoing_consents import consent_job, consent_requests, suppression_job
from gateway.dialects.outgoing import Outgoing, OutgoingRequest, Path, ProfileState, Rendered, Target, VendorAnswer

REVISION = "2026-07-15"

PROPERTIES = ("name", "middle_name", "nickname", "gender", "birthdate", "website")
"""Members of a document without an attribute here. They are properties, of the same names unless configured."""

DISPUTABLE = {"phone": "phone_number", "email": "email", "external_id": "external_id"}

_NAMES: Mapping[Path, str] = {path: name for name, path in FIELDS.items() if name not in ("properties", "anonymous_id")}
_BESIDE = ("subscriptions", "segments")
_FURTHER_ADDRESSES = (NAMESPACE, "emails")
_TEXTS = {(NAMESPACE, name): name for name in COORDINATES}
"""Where a coordinate is a text; it is sent with the number."""


def headers(secret: str) -> Mapping[str, str]:
    """Return the headers that have the private key, and the revision."""
    return {"authorization": f"Klaviyo-API-Key {secret}", "revision": REVISION}


def render_change(state: ProfileState, target: Target) -> Rendered:
    """Return the request that imports the touched attributes, and those on consent, tokens and lists."""
    rendered = Rendered()
    identifiers = _identifiers(state)
    if not (state.vendor_id or identifiers):
        rendered.skip()
        return rendered
    for name in state.omitted.intersection(DISPUTABLE.values()):
        rendered.skip(*FIELDS[name])
    attributes, meta = _render_attributes(state, target, rendered)
    resource: dict[str, Any] = {"type": "profile", "attributes": {**identifiers, **attributes}}
    if state.vendor_id:
        resource["id"] = state.vendor_id
    if meta:
        resource["meta"] = meta
    rendered.requests.append(OutgoingRequest("POST", "/api/profile-import", {"data": resource}, DEFAULT_RATES))
    if ("subscriptions",) in state.touched:
        rendered.requests += consent_requests(state, rendered)
        rendered.requests += _token_requests(state)
    if ("segments",) in state.touched:
        rendered.requests += _list_requests(state, target, rendered)
    return rendered


def render_removal(state: ProfileState, target: Target, is_erasure: bool) -> Rendered:
    """Return the request that erases a person; for a removal, those that end all messages, unless `deletes` is set."""
    if is_erasure or target.deletes:
        return _render_erasure(state)
    mail, phones = state.document.get("email"), state.document.get("phone_numbers")
    channels = [("email", mail)] if mail else []
    channels += [("sms", phones[0])] if phones else []
    if not channels:
        return Rendered(skipped=[""])
    requests = [consent_job(channel, address, None) for channel, address in channels]
    return Rendered([*requests, *([suppression_job("create", mail)] if mail else [])])


def render_merge(source: str, destination: str, _target: Target, removes: bool) -> list[OutgoingRequest]:
    """Return the request that merges a profile into another one, and removes it."""
    if not removes:
        return []
    sources = {"profiles": {"data": [{"type": "profile", "id": source}]}}
    data = {"type": "profile-merge", "id": destination, "relationships": sources}
    return [OutgoingRequest("POST", "/api/profile-merge", {"data": data}, BULK_RATES)]


def parse_answer(status: int, tree: Tree) -> VendorAnswer:
    """Read a reply: the profile's id, or the details of the errors and the attribute that the first is about."""
    if not isinstance(tree, dict):
        return VendorAnswer(status)
    data, errors = tree.get("data"), tree.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        words = "; ".join(str(each.get("detail") or "") for each in errors if isinstance(each, dict))
        source = errors[0].get("source")
        pointer = str(source.get("pointer") or "") if isinstance(source, dict) else ""
        meta = errors[0].get("meta")
        duplicate = meta.get("duplicate_profile_id") if isinstance(meta, dict) else None
        return VendorAnswer(status, words, refused=_attribute(split_pointer(pointer)), duplicate=duplicate)
    if isinstance(data, dict) and data.get("type") == "profile":
        return VendorAnswer(status, vendor_id=data.get("id"))
    return VendorAnswer(status)


def _attribute(path: Sequence[str]) -> str | None:
    match path:
        case ["data", "attributes", ("location" | "properties") as group, name, *_]:
            return f"{group}.{name}"
        case ["data", "attributes", name, *_] if name in FIELDS:
            return name
        case _:
            return None


# --- the profile ---


def _identifiers(state: ProfileState) -> dict[str, Any]:
    document = state.document
    phones = document.get("phone_numbers")
    values = {
        "external_id": document.get("external_id"),
        "email": document.get("email"),
        "phone_number": phones[0] if phones else None,
        "_kx": document.get(NAMESPACE, {}).get("_kx"),
    }
    return {name: value for name, value in values.items() if value and name not in state.omitted}


def _render_attributes(
    state: ProfileState, target: Target, rendered: Rendered
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes for what was touched, and the patches beside them."""
    attributes: dict[str, Any] = {}
    unset: list[str] = []
    meta: dict[str, Any] = {}
    for path in state.touched:
        value = state.value(path)
        name = _attribute_name(path, target)
        if path[0] in _BESIDE or path == (NAMESPACE, "push_tokens"):
            continue
        if path == _FURTHER_ADDRESSES:
            meta["patch_identifiers"] = _address_patches(state)
        elif name in state.omitted.intersection(DISPUTABLE.values()):
            continue
        elif name is None or name in state.omitted or not _is_fit(name, value):
            rendered.skip(*path)
        elif name.startswith("properties.") and value is None:
            unset.append(name.removeprefix("properties."))
        else:
            _set(attributes, name, _render_value(name, value, state))
    if unset:
        meta["patch_properties"] = {"unset": unset}
    return attributes, meta


def _attribute_name(path: Path, target: Target) -> str | None:
    """Return the name of a member: an attribute, or `location.` or `properties.` and a name in there."""
    if path[0] == "custom":
        return f"properties.{path[1]}"
    if path[0] in PROPERTIES:
        return f"properties.{target.properties.get(path[0], path[0])}"
    return f"location.{_TEXTS[path]}" if path in _TEXTS else _NAMES.get(path)


def _is_fit(name: str, value: Any) -> bool:
    if value is None or name.startswith("properties.") or name.removeprefix("location.") in COORDINATES:
        return True
    return isinstance(value, list if name == "phone_number" else str)


def _render_value(name: str, value: Any, state: ProfileState) -> Any:
    if name == "phone_number":
        return value[0] if value else None
    member = name.removeprefix("location.")
    if member in COORDINATES:
        text = state.value((NAMESPACE, member))
        return state.value((member,)) if text is None else text
    return value


def _set(attributes: dict[str, Any], name: str, value: Any) -> None:
    group, _, member = name.partition(".")
    if member:
        attributes.setdefault(group, {})[member] = value
    else:
        attributes[name] = value


def _address_patches(state: ProfileState) -> dict[str, Any]:
    now = state.value(_FURTHER_ADDRESSES) or []
    former = [each for old in state.former.get(_FURTHER_ADDRESSES, ()) for each in old or ()]
    gone = [each for each in dict.fromkeys(former) if each not in now]
    return {name: {"email": values} for name, values in (("append", now), ("unappend", gone)) if values}


# --- tokens, lists, erasure ---


def _token_requests(state: ProfileState) -> Iterator[OutgoingRequest]:
    now = state.document.get("subscriptions", ())
    for each in state.changed("subscriptions"):
        if _token(each) and DELETED not in each:
            yield _registration(each, state)
    present = [_token(each) for each in now if DELETED not in each]
    for token in dict.fromkeys(map(_token, [*state.ended("subscriptions"), *now])):
        if token and token not in present:
            path = f"/api/push-tokens/{quote(token.id)}"
            yield OutgoingRequest("DELETE", path, None, PRIVACY_RATES, missing_ok=True)


def _token(subscription: Mapping[str, Any]) -> PushToken | None:
    """Return the push token of a subscription; None for another channel, or a provider that is not known here."""
    if subscription["channel"] != "push" or subscription["provider"] not in PROVIDERS:
        return None
    return PushToken(subscription["provider"], subscription["subscription_id"])


def _registration(subscription: Mapping[str, Any], state: ProfileState) -> OutgoingRequest:
    token = PushToken(subscription["provider"], subscription["subscription_id"])
    platform, vendor = PROVIDERS[token.provider]
    device = state.document.get(NAMESPACE, {}).get("push_tokens", {}).get(token.id, {})
    profile: dict[str, Any] = {"type": "profile", "attributes": _identifiers(state)}
    if state.vendor_id:
        profile["id"] = state.vendor_id
    attributes = {
        "token": token.token,
        "platform": platform,
        "vendor": vendor,
        **{name: device.get(name, values[0]) for name, values in STATES.items()},
        "profile": {"data": profile},
    }
    if metadata := device.get("metadata"):
        attributes["device_metadata"] = metadata
    data = {"type": "push-token", "attributes": attributes}
    return OutgoingRequest("POST", "/api/push-tokens", {"data": data}, DEFAULT_RATES)


def _list_requests(state: ProfileState, target: Target, rendered: Rendered) -> list[OutgoingRequest]:
    """Return the requests that add the profile to lists and remove it from others. They need the vendor's id of it."""
    if not state.vendor_id:
        rendered.skip("segments")
        return []
    body = {"data": [{"type": "profile", "id": state.vendor_id}]}
    changes = [("POST", each) for each in state.document.get("segments", ())]
    changes += [("DELETE", each) for each in state.ended("segments")]
    return [
        OutgoingRequest(
            method,
            f"/api/lists/{quote(target.segment(each), safe='')}/relationships/profiles",
            body,
            BULK_RATES,
            missing_ok=method == "DELETE",
        )
        for method, each in changes
    ]


def _render_erasure(state: ProfileState) -> Rendered:
    """Return the request that erases a person, by exactly one identifier."""
    identifiers = {name: value for name, value in _identifiers(state).items() if name in ("email", "phone_number")}
    if not (state.vendor_id or identifiers):
        return Rendered(skipped=[""])
    attributes = {} if state.vendor_id else dict(list(identifiers.items())[:1])
    profile: dict[str, Any] = {"type": "profile", "attributes": attributes}
    if state.vendor_id:
        profile["id"] = state.vendor_id
    data = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile}}}
    return Rendered([OutgoingRequest("POST", "/api/data-privacy-deletion-jobs", {"data": data}, PRIVACY_RATES)])


OUTGOING = Outgoing(
    headers, render_change, render_removal, render_merge, parse_answer, DISPUTABLE, removes_sources=False
)
