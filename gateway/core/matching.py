"""Matching: the identities that a match searches for, and the identities that a document has. All in normal form."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    return tuple(_identities_of_match(match, tables))


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


def _identities_of_match(match: Mapping[str, Any], tables: ProfileTables) -> Iterable[Identity]:
    mode, values, resource = match["mode"], match["values"], match.get("resource_id")
    if mode in ("email", "email_profile", "email_phone") and "email" in values:
        yield EMAIL, _normalize(normalization.email, values["email"])
    if mode in ("email", "email_sub", "email_phone", "email_phone_sub") and "email" in values:
        yield _in_resource(EMAIL_SUB, resource), _normalize(normalization.email, values["email"])
    if mode in ("phone", "email_phone") and "phone" in values:
        yield PHONE, _normalize(normalization.phone, values["phone"])
    if mode in ("phone", "phone_sub", "email_phone", "email_phone_sub") and "phone" in values:
        yield _in_resource(PHONE_SUB, resource), _normalize(normalization.phone, values["phone"])
    if mode == "profile_id":
        yield from identities_by_id(values["profile_id"])
    if mode in ("external_id", IDENTIFIERS):
        yield from _identities_by_priority(values, tables)
    if mode == "push_sub":
        yield _in_resource(PUSH_SUB, resource), _push(values)
    if mode == "custom" and values["field_name"] in tables.tag_fields:
        yield from ((f"{TAGS}/{values['field_name']}", tag) for tag in split_tags(values["field_value"]))
    elif mode == "custom":
        yield f"{CUSTOM}/{values['field_name']}", str(values["field_value"])
    if mode == "custom_sub":
        yield f"{_in_resource(CUSTOM_SUB, resource)}/{values['field_name']}", str(values["field_value"])


def identities_by_id(id: str) -> tuple[Identity, Identity]:
    """Return the identities of a profile's id: its own, and of the profile that it was merged into."""
    return (ID, id), (ALIAS, id)


def _identities_by_priority(values: Values, tables: ProfileTables) -> Iterable[Identity]:
    for name, kind in tables.match_kinds.items():
        if kind == ID and name in values:
            yield from identities_by_id(values[name])
        elif name in values:
            yield kind, _normalize(_FORMS.get(kind, str), values[name])


_FORMS: dict[str, Callable[[str], str | None]] = {EMAIL: normalization.email, PHONE: normalization.phone}


def identities(document: Document, tables: ProfileTables) -> frozenset[Identity]:
    """Return every identity of a document. A value without a normal form is none."""
    found: set[tuple[str, str | None]] = set()
    for member, value in document.items():
        for source in tables.sources.get(member, ()):
            found.update(source_identities(source, value))
    for subscription in document.get(SUBSCRIPTIONS, ()):
        found.update(_identities_of_subscription(subscription))
    return frozenset((kind, value) for kind, value in found if value is not None)


def source_identities(source: IdentitySource, value: Any) -> Iterable[tuple[str, str | None]]:
    """Return the kind and the normal form of each value of a source, in the value of its top-level member."""
    for name in source.path:
        value = value.get(name)
        if value is None:
            return
    form: Callable[[Any], str | None] = _FORMS.get(source.kind, _text)
    for each in value if source.is_list else (value,):
        yield source.kind, form(each)


def single_identities(document: Document, tables: ProfileTables) -> Iterator[tuple[str, Any, Identity]]:
    """Yield each identity that is no item of a list, with its kind and its value as it is stored."""
    for member, sources in tables.sources.items():
        for source in sources:
            value = None if source.is_list else value_at(document, (member, *source.path))
            for kind, form in source_identities(source, document[member]) if value is not None else ():
                if form is not None:
                    yield kind, value, (kind, form)


def _text(value: Any) -> str | None:
    return str(value) if value != "" else None


NO_IDENTITIES: frozenset[Identity] = frozenset()
NO_FIELDS: Mapping[str, Any] = {}


def identity_changes(
    before: Document, after: Document, tables: ProfileTables
) -> tuple[frozenset[Identity], frozenset[Identity]]:
    """Return the identities that a document gains and loses."""
    if _has_same_identities(before, after, tables):
        return NO_IDENTITIES, NO_IDENTITIES
    then, now = identities(before, tables), identities(after, tables)
    return now - then, then - now


def _has_same_identities(before: Document, after: Document, tables: ProfileTables) -> bool:
    """Whether two documents share (`is`) every value that identities come from."""
    members, identifiers = tables.members, tables.identifiers
    then, now = before.get(CUSTOM, NO_FIELDS), after.get(CUSTOM, NO_FIELDS)
    return all(map(is_, map(before.get, members), map(after.get, members))) and (
        then is now or all(map(is_, map(then.get, identifiers), map(now.get, identifiers)))
    )


def _identities_of_subscription(subscription: Mapping[str, Any]) -> Iterable[tuple[str, str | None]]:
    address = _ADDRESS_BY_CHANNEL.get(subscription["channel"])
    if address is None or "deleted" in subscription:
        return
    (kind, *name), value = address(subscription)
    yield "/".join((kind, *name)), value
    if "resource_id" in subscription:
        yield "/".join((_in_resource(kind, subscription["resource_id"]), *name)), value


_ADDRESS_BY_CHANNEL: dict[str, Callable[[Values], tuple[tuple[str, ...], str | None]]] = {
    "email": lambda values: ((EMAIL_SUB,), normalization.email(values["email"])),
    "sms": lambda values: ((PHONE_SUB,), normalization.phone(values["phone"])),
    "push": lambda values: ((PUSH_SUB,), _push(values)),
    "custom": lambda values: ((CUSTOM_SUB, values["field_name"]), str(values["field_value"])),
}


def subscription_address(subscription: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a subscription of a profile: resource, channel and address, in normal form."""
    channel = subscription["channel"]
    address = _ADDRESS_BY_CHANNEL.get(channel, _chat)
    return subscription.get("resource_id"), channel, address(subscription)


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


def _normalize(form: Callable[[str], str | None], value: str) -> str:
    return form(value) or value
