"""Matching: the identities that a match searches for, and the identities that a document has. All in normal form."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from operator import is_
from typing import Any

from gateway.core import normalization
from gateway.core.faults import Fault
from gateway.core.model import Document, Identity
from gateway.core.pointer import value_at
from gateway.core.profile_tables import IdentitySource, ProfileTables

Values = Mapping[str, Any]

EMAIL, EMAIL_SUB, PHONE, PHONE_SUB, PUSH_SUB = "email", "email_sub", "phone", "phone_sub", "push_sub"
CUSTOM, CUSTOM_SUB, EXTERNAL_ID = "custom", "custom_sub", "external_id"
ID, ALIAS = "id", "alias"
"""The id of a profile; the id of a profile that was merged into it."""
TAGS = "tags"
"""One tag of an own field that may be searched. Profiles share it."""
SEGMENT, RELATED = "segment", "related"
"""The kinds of keys that list profiles, and are no identities: the segment that a profile is in; the id of another one,
from which a relation leads to it."""
LISTING_KINDS = frozenset({SEGMENT, RELATED})
IDENTIFIERS = "identifiers"
SUBSCRIPTIONS = "subscriptions"

MODES: dict[str, tuple[tuple[str, ...], ...]] = {
    "email": (("email",),),
    "email_profile": (("email",),),
    "email_sub": (("email",),),
    "phone": (("phone",),),
    "phone_sub": (("phone",),),
    "profile_id": (("profile_id",),),
    "push_sub": (("provider", "subscription_id"),),
    "custom": (("field_name", "field_value"),),
    "custom_sub": (("field_name", "field_value"),),
    "email_phone": (("email",), ("phone",)),
    "email_phone_sub": (("email",), ("phone",)),
    "external_id": (("external_id",),),
    IDENTIFIERS: (),
    "none": (),
}
"""The match values that each mode needs: all members of one of the groups. For `identifiers`, tables name them."""


def match_identities(match: Mapping[str, Any], tables: ProfileTables) -> tuple[Identity, ...]:
    """Return the identities of a match that has no faults. Any one of them names the profile.

    The mode `none` has none.
    """
    mode, values, resource = match["mode"], match["values"], match.get("resource_id")
    if mode not in _ADDRESS_MODES:
        return tuple(_OTHER_MODES[mode](values, resource, tables))
    found: list[Identity] = []
    for name, form, own, sub in _ADDRESS_MODES[mode]:
        if name in values:
            value = form(values[name]) or values[name]
            if own:
                found.append((own, value))
            if sub:
                found.append((sub if resource is None else f"{sub}@{resource}", value))
    return tuple(found)


def match_faults(match: Mapping[str, Any], tables: ProfileTables) -> list[Fault]:
    """Return the faults of a match: missing_match_field, one for each value; not_an_identifier."""
    mode, values = match["mode"], match["values"]
    found = list(_missing(mode, values, tables))
    name = values.get("field_name")
    if mode == "custom" and name is not None and name not in tables.identifiers:
        detail = f'"{name}" is not declared as an identifier'
        found.append(Fault("not_an_identifier", detail, "/match/values/field_name"))
    return found


def split_tags(text: Any) -> list[str]:
    """Return the tags of a match value, which are separated by commas."""
    return [tag for part in str(text).split(",") if (tag := part.strip())]


def value_groups(mode: str, tables: ProfileTables) -> tuple[tuple[str, ...], ...]:
    """Return the match values that a mode needs: all members of one of the groups."""
    return MODES[mode] if mode != IDENTIFIERS else tuple((name,) for name in tables.match_kinds)


def _missing(mode: str, values: Values, tables: ProfileTables) -> Iterable[Fault]:
    groups = value_groups(mode, tables)
    for group in groups:
        if values.keys() >= set(group):
            return
    missing = [name for group in groups for name in group if name not in values]
    detail = f"matching {mode} needs it" if len(groups) == 1 else f"matching {mode} needs one of {', '.join(missing)}"
    yield from (Fault("missing_match_field", detail, f"/match/values/{name}") for name in missing)


def identities_by_id(id: str) -> tuple[Identity, Identity]:
    """Return the identities of a profile's id: its own, and of the profile that it was merged into."""
    return (ID, id), (ALIAS, id)


def _identities_by_priority(values: Values, _resource: int | None, tables: ProfileTables) -> Iterable[Identity]:
    for name, kind in tables.match_kinds.items():
        if kind == ID and name in values:
            yield from identities_by_id(values[name])
        elif name in values:
            yield kind, _FORMS.get(kind, str)(values[name]) or values[name]


def _custom_identities(values: Values, _resource: int | None, tables: ProfileTables) -> Iterable[Identity]:
    name, value = values["field_name"], values["field_value"]
    if name in tables.tag_fields:
        return [(f"{TAGS}/{name}", tag) for tag in split_tags(value)]
    return [(f"{CUSTOM}/{name}", str(value))]


_FORMS: dict[str, Callable[[str], str | None]] = {EMAIL: normalization.email, PHONE: normalization.phone}


def identities(document: Document, tables: ProfileTables) -> frozenset[Identity]:
    """Return every identity of a document. A value without a normal form is none."""
    found: set[Identity] = set()
    for member, sources in tables.sources.items():
        if member in document:
            for source in sources:
                found.update(source_identities(source, document[member]))
    for subscription in document.get(SUBSCRIPTIONS, ()):
        found.update(identities_of_subscription(subscription))
    return frozenset(found)


def identities_of_kinds(document: Document, tables: ProfileTables, kinds: Container[str]) -> set[Identity]:
    """Return the identities of some kinds that a document has outside its subscriptions."""
    found: set[Identity] = set()
    for member, sources in tables.sources.items():
        if member in document:
            for source in sources:
                if source.kind in kinds:
                    found.update(source_identities(source, document[member]))
    return found


def source_identities(source: IdentitySource, value: Any) -> list[Identity]:
    """Return the kind and the normal form of each value of a source, in the value of its top-level member."""
    for name in source.path:
        value = value.get(name)
        if value is None:
            return []
    form: Callable[[Any], str | None] = _FORMS.get(source.kind, _text)
    found = []
    for each in value if source.is_list else (value,):
        if (own := form(each)) is not None:
            found.append((source.kind, own))  # noqa: PERF401 — a comprehension costs a call
    return found


def normal_form(source: IdentitySource, value: Any) -> str | None:
    """Return the normal form of one value of a source, None if it has none."""
    form: Callable[[Any], str | None] = _FORMS.get(source.kind, _text)
    return form(value)


def single_identities(document: Document, tables: ProfileTables) -> Iterator[tuple[str, Any, Identity]]:
    """Yield each identity that is no item of a list, with its kind and its value as it is stored."""
    for member, sources in tables.sources.items():
        for source in sources:
            value = None if source.is_list else value_at(document, (member, *source.path))
            for own in source_identities(source, document[member]) if value is not None else ():
                yield source.kind, value, own


def _text(value: Any) -> str | None:
    return str(value) if value != "" else None


NO_IDENTITIES: frozenset[Identity] = frozenset()
NO_FIELDS: Mapping[str, Any] = {}


def identity_changes(
    before: Document, after: Document, tables: ProfileTables
) -> tuple[frozenset[Identity], frozenset[Identity]]:
    """Return the identities that a document gains and loses, and the keys by which it is listed."""
    members, identifiers = tables.members, tables.identifiers
    then, now = before.get(CUSTOM, NO_FIELDS), after.get(CUSTOM, NO_FIELDS)
    if all(map(is_, map(before.get, members), map(after.get, members))) and (
        then is now or all(map(is_, map(then.get, identifiers), map(now.get, identifiers)))
    ):
        return NO_IDENTITIES, NO_IDENTITIES  # the documents share every value that identities come from
    had, has = identities(before, tables), identities(after, tables)
    for member, source in tables.listed.items():
        if (old := before.get(member, ())) is not (new := after.get(member, ())):
            had, has = had.union(source_identities(source, old)), has.union(source_identities(source, new))
    return has - had, had - has


def identities_of_subscription(subscription: Mapping[str, Any]) -> tuple[Identity, ...]:
    """Return the identities of a subscription: its address, and that in its resource. That of a chat has none."""
    if subscription["channel"] not in _IDENTIFYING_CHANNELS or "deleted" in subscription:
        return ()
    (kind, *name), value = channel_address(subscription)
    if value is None:
        return ()
    own = "/".join((kind, *name)), value
    if "resource_id" not in subscription:
        return (own,)
    return own, ("/".join((f"{kind}@{subscription['resource_id']}", *name)), value)


_EMAIL_NAMES, _PHONE_NAMES = (EMAIL_SUB,), (PHONE_SUB,)

_ADDRESS_BY_CHANNEL: dict[str, Callable[[Values], tuple[tuple[str, ...], str | None]]] = {
    "push": lambda values: ((PUSH_SUB,), _push(values)),
    "custom": lambda values: ((CUSTOM_SUB, values["field_name"]), str(values["field_value"])),
}


_IDENTIFYING_CHANNELS = {"email", "sms", *_ADDRESS_BY_CHANNEL}
"""The channels whose addresses are identities. Those of chats are none."""


def channel_address(subscription: Mapping[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """Return the kind of the address of a subscription, and the address in normal form."""
    channel = subscription["channel"]
    if channel == "email":
        return _EMAIL_NAMES, normalization.email(subscription["email"])
    if channel == "sms":
        return _PHONE_NAMES, normalization.phone(subscription["phone"])
    return _ADDRESS_BY_CHANNEL.get(channel, _chat)(subscription)


def subscription_address(subscription: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a subscription of a profile: resource, channel and address, in normal form."""
    return subscription.get("resource_id"), subscription["channel"], channel_address(subscription)


PHONE_CHATS = ("whatsapp", "viber", "notify")


def _chat(values: Values) -> tuple[tuple[str, ...], str | None]:
    """Return the address of a chat: the id of a Telegram bot's chat, a phone, or all of `cc_data` elsewhere."""
    chat, channel = values["cc_data"], values["channel"]
    if channel == "telegram_bot":
        return ("cc_data",), str(chat["id"])
    if channel in PHONE_CHATS:
        return ("cc_data",), normalization.phone(chat["phone"])
    return ("cc_data",), json.dumps(chat, sort_keys=True)


def _push(values: Values) -> str:
    # The length distinguishes ("a", "bc") from ("ab", "c"), whatever characters a provider's name has.
    return f"{len(values['provider'])}:{values['provider']}{values['subscription_id']}"


def _in_resource(kind: str, resource: int | None) -> str:
    return kind if resource is None else f"{kind}@{resource}"


_BY_EMAIL, _BY_PHONE = ("email", normalization.email), ("phone", normalization.phone)
_EITHER_EMAIL, _EITHER_PHONE = (*_BY_EMAIL, EMAIL, EMAIL_SUB), (*_BY_PHONE, PHONE, PHONE_SUB)
_SUB_EMAIL, _SUB_PHONE = (*_BY_EMAIL, "", EMAIL_SUB), (*_BY_PHONE, "", PHONE_SUB)

_ADDRESS_MODES: dict[str, tuple[tuple[str, Callable[[str], str | None], str, str], ...]] = {
    "email": (_EITHER_EMAIL,),
    "email_profile": ((*_BY_EMAIL, EMAIL, ""),),
    "email_sub": (_SUB_EMAIL,),
    "phone": (_EITHER_PHONE,),
    "phone_sub": (_SUB_PHONE,),
    "email_phone": (_EITHER_EMAIL, _EITHER_PHONE),
    "email_phone_sub": (_SUB_EMAIL, _SUB_PHONE),
}
"""By mode, the match values that are addresses: name, normal form, the kinds of a profile's own and of a subscription's
address, "" for a kind that the mode does not search."""

_OTHER_MODES: dict[str, Callable[[Values, int | None, ProfileTables], Iterable[Identity]]] = {
    "profile_id": lambda values, _resource, _tables: identities_by_id(values["profile_id"]),
    "external_id": _identities_by_priority,
    IDENTIFIERS: _identities_by_priority,
    "push_sub": lambda values, resource, _tables: [(_in_resource(PUSH_SUB, resource), _push(values))],
    CUSTOM: _custom_identities,
    CUSTOM_SUB: lambda values, resource, _tables: [
        (f"{_in_resource(CUSTOM_SUB, resource)}/{values['field_name']}", str(values["field_value"]))
    ],
    "none": lambda _values, _resource, _tables: (),
}
"""By mode, the function from match values and resource to identities."""
