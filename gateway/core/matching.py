"""Matching: from what an update gives to the identities, any one of which names its profile.

Also the way back: which identities a document has. Both speak normal forms only.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import is_
from typing import Any

from gateway.core import normalization
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Document, Identity

Values = Mapping[str, Any]

EMAIL, EMAIL_SUB, PHONE, PHONE_SUB, PUSH_SUB = "email", "email_sub", "phone", "phone_sub", "push_sub"
CUSTOM, CUSTOM_SUB, EXTERNAL_ID, ID = "custom", "custom_sub", "external_id", "id"
ANONYMOUS_ID, KX = "anonymous_id", "kx"
UNIQUE = (EMAIL, CUSTOM, EXTERNAL_ID, ID, ANONYMOUS_ID, KX)
"""The kinds of identity that no two profiles of a database are meant to share."""

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
    "identifiers": tuple((name,) for name in ("profile_id", "external_id", "email", "phone", "anonymous_id", "kx")),
    "none": (),
}
"""What each matching mode needs: the members of one of these groups, all of them."""


def key(match: Mapping[str, Any], identifiers: Iterable[str]) -> tuple[Identity, ...]:
    """The identities of a match, any one of which names the profile; none for the mode `none`.

    `identifiers` are the database's own fields that may name a profile. Raises `Refusal`: missing_match_field,
    not_an_identifier.
    """
    if found := faults(match, identifiers):
        raise Refusal(found)
    return tuple(_identities_of_match(match["mode"], match["values"], match.get("resource_id")))


def faults(match: Mapping[str, Any], identifiers: Iterable[str]) -> list[Fault]:
    """Why a match has no key: missing_match_field, for each that is; not_an_identifier."""
    mode, values = match["mode"], match["values"]
    found = list(_missing(mode, values))
    name = values.get("field_name")
    if mode == "custom" and name is not None and name not in identifiers:
        detail = f'"{name}" is not declared as an identifier'
        found.append(Fault("not_an_identifier", detail, "/match/values/field_name"))
    return found


def _missing(mode: str, values: Values) -> Iterable[Fault]:
    groups = MODES[mode]
    for group in groups:
        if values.keys() >= set(group):
            return
    missing = [name for group in groups for name in group if name not in values]
    detail = f"matching {mode} needs it" if len(groups) == 1 else f"matching {mode} needs one of {', '.join(missing)}"
    yield from (Fault("missing_match_field", detail, f"/match/values/{name}") for name in missing)


def _identities_of_match(mode: str, values: Values, resource: int | None) -> Iterable[Identity]:
    if mode in ("email", "email_profile", "email_phone") and "email" in values:
        yield EMAIL, _normal(normalization.email, values["email"])
    if mode in ("email", "email_sub", "email_phone", "email_phone_sub") and "email" in values:
        yield _narrowed(EMAIL_SUB, resource), _normal(normalization.email, values["email"])
    if mode in ("phone", "email_phone") and "phone" in values:
        yield PHONE, _normal(normalization.phone, values["phone"])
    if mode in ("phone", "phone_sub", "email_phone", "email_phone_sub") and "phone" in values:
        yield _narrowed(PHONE_SUB, resource), _normal(normalization.phone, values["phone"])
    if mode == "profile_id":
        yield ID, values["profile_id"]
    if mode in ("external_id", "identifiers"):
        yield from _identities_by_priority(values)
    if mode == "push_sub":
        yield _narrowed(PUSH_SUB, resource), _push(values)
    if mode == "custom":
        yield f"{CUSTOM}/{values['field_name']}", str(values["field_value"])
    if mode == "custom_sub":
        yield f"{_narrowed(CUSTOM_SUB, resource)}/{values['field_name']}", str(values["field_value"])


def _identities_by_priority(values: Values) -> Iterable[Identity]:
    """Of everything that is given, in the order in which one goes before another."""
    kinds = (("profile_id", ID), ("external_id", EXTERNAL_ID), ("email", EMAIL), ("phone", PHONE))
    for name, kind in (*kinds, ("anonymous_id", ANONYMOUS_ID), ("kx", KX)):
        if name in values:
            yield kind, _normal(_FORMS.get(kind, str), values[name])


_FORMS: dict[str, Callable[[str], str | None]] = {EMAIL: normalization.email, PHONE: normalization.phone}


def identities(document: Document, identifiers: Iterable[str]) -> frozenset[Identity]:
    """Every identity of a document. A value that has no normal form names nobody."""
    found: set[tuple[str, str | None]] = set()
    if "email" in document:
        found.add((EMAIL, normalization.email(document["email"])))
    if "external_id" in document:
        found.add((EXTERNAL_ID, document["external_id"]))
    klaviyo = document.get("klaviyo", {})
    found.update((EMAIL, normalization.email(further)) for further in klaviyo.get("emails", ()))
    found.update(
        (kind, klaviyo[name]) for name, kind in (("anonymous_id", ANONYMOUS_ID), ("_kx", KX)) if name in klaviyo
    )
    found.update((PHONE, normalization.phone(number)) for number in document.get("phone_numbers", ()))
    custom = document.get("custom", {})
    found.update((f"{CUSTOM}/{name}", str(custom[name])) for name in identifiers if custom.get(name, "") != "")
    for subscription in document.get("subscriptions", ()):
        found.update(_identities_of_subscription(subscription))
    return frozenset((kind, value) for kind, value in found if value is not None)


NOBODY: frozenset[Identity] = frozenset()
NONE: Mapping[str, Any] = {}
NAMING = ("email", "external_id", "klaviyo", "phone_numbers", "subscriptions")
"""The members of a document that its identities come from, beside the identifiers among its own fields."""


def moved(
    before: Document, after: Document, identifiers: Iterable[str]
) -> tuple[frozenset[Identity], frozenset[Identity]]:
    """The identities that a document gains and loses. What two documents share (`is`) names the same."""
    if _name_alike(before, after, identifiers):
        return NOBODY, NOBODY
    then, now = identities(before, identifiers), identities(after, identifiers)
    return now - then, then - now


def _name_alike(before: Document, after: Document, identifiers: Iterable[str]) -> bool:
    """Whether two documents share everything that identities come from."""
    then, now = before.get("custom", NONE), after.get("custom", NONE)
    return all(map(is_, map(before.get, NAMING), map(after.get, NAMING))) and (
        then is now or all(map(is_, map(then.get, identifiers), map(now.get, identifiers)))
    )


def _identities_of_subscription(subscription: Mapping[str, Any]) -> Iterable[tuple[str, str | None]]:
    naming = _NAMED_BY_CHANNEL.get(subscription["channel"])
    if naming is None:
        return
    (kind, *name), value = naming(subscription)
    yield "/".join((kind, *name)), value
    if "resource_id" in subscription:
        yield "/".join((_narrowed(kind, subscription["resource_id"]), *name)), value


_NAMED_BY_CHANNEL: dict[str, Callable[[Values], tuple[tuple[str, ...], str | None]]] = {
    "email": lambda values: ((EMAIL_SUB,), normalization.email(values["email"])),
    "sms": lambda values: ((PHONE_SUB,), normalization.phone(values["phone"])),
    "push": lambda values: ((PUSH_SUB,), _push(values)),
    "custom": lambda values: ((CUSTOM_SUB, values["field_name"]), str(values["field_value"])),
}


def address(subscription: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two subscriptions of a profile the same: resource, channel and address, in normal form."""
    channel = subscription["channel"]
    naming = _NAMED_BY_CHANNEL.get(channel, _chat)
    return subscription.get("resource_id"), channel, naming(subscription)


def _chat(values: Values) -> tuple[tuple[str, ...], str | None]:
    """A bot's chat is known by its id, any other by its phone: what the schema demands of each."""
    chat = values["cc_data"]
    return ("cc_data",), str(chat["id"]) if values["channel"] == "telegram_bot" else normalization.phone(chat["phone"])


def _push(values: Values) -> str:
    # The length keeps ("a", "bc") and ("ab", "c") apart, whatever signs a provider's name has.
    return f"{len(values['provider'])}:{values['provider']}{values['subscription_id']}"


def _narrowed(kind: str, resource: int | None) -> str:
    return kind if resource is None else f"{kind}@{resource}"


def _normal(form: Callable[[str], str | None], value: str) -> str:
    return form(value) or value
