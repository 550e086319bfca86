"""Random profiles and random writes to them: values are few, so that they meet."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Update = dict[str, Any]

EMAILS = ("ann@example.com", "bob@example.com", "eve@example.com", "new@example.com")
PHONES = ("+12025550100", "+12025550123", "+12025550199")
TOKENS = ("token-a", "token-b")
STATUSES = ("subscribed", "unsubscribed", "complained", "hardbounced", "suspended", "unconfirmed", 0, 1, 5)
NUMBERS, WORDS = st.integers(-3, 3), st.sampled_from(("red", "green", "blue"))


def _optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


ADDRESSES = st.one_of(
    st.sampled_from(EMAILS).map(lambda email: {"channel": "email", "email": email}),
    st.sampled_from(PHONES).map(lambda phone: {"channel": "sms", "phone": phone}),
    st.sampled_from(TOKENS).map(lambda token: {"channel": "push", "provider": "apns", "subscription_id": token}),
)
RESOURCES = st.one_of(st.just({}), st.sampled_from((1, 2)).map(lambda id: {"resource_id": id}))
CONTENT = _optional(status=st.sampled_from(STATUSES), cats=st.lists(WORDS, max_size=2, unique=True), priority=NUMBERS)
EDITS = st.builds(lambda address, resource, content: {**resource, **address, **content}, ADDRESSES, RESOURCES, CONTENT)

OWN_FIELDS = _optional(
    points=NUMBERS,
    color=WORDS,
    tags=st.lists(WORDS, max_size=3, unique=True),
    plan=_optional(name=WORDS, price=NUMBERS),
)
FIELDS = _optional(
    given_name=WORDS,
    family_name=WORDS,
    address=_optional(locality=WORDS, country=WORDS),
    custom=OWN_FIELDS,
    segments=st.lists(st.integers(1, 3), min_size=1, max_size=2, unique=True).map(sorted),
)


def identifiers(number: int) -> st.SearchStrategy[dict[str, Any]]:
    """The identifiers of one of the profiles."""
    return st.fixed_dictionaries(
        {"email": st.just(EMAILS[number]), "external_id": st.just(f"x{number}")},
        optional={
            "phone_numbers": st.lists(
                st.sampled_from((PHONES[number], PHONES[2])), min_size=1, max_size=2, unique=True
            ),
            "klaviyo": st.just({"anonymous_id": f"a{number}"}),
            "custom": st.just({"customer_id": f"c{number}"}),
        },
    )


def profiles(number: int) -> st.SearchStrategy[dict[str, Any]]:
    """A profile that has only its own identifiers, and perhaps the phone that all share."""
    return st.builds(_with_identifiers, FIELDS, identifiers(number))


def _with_identifiers(fields: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    own = {**fields.get("custom", {}), **named.get("custom", {})}
    return {**fields, **named, **({"custom": own} if own else {})}


MATCHES = st.one_of(
    st.builds(
        lambda mode, email: (mode, {"email": email}), st.sampled_from(("email", "email_sub")), st.sampled_from(EMAILS)
    ),
    st.builds(
        lambda mode, phone: (mode, {"phone": phone}), st.sampled_from(("phone", "phone_sub")), st.sampled_from(PHONES)
    ),
    st.sampled_from((0, 1, 2)).map(lambda number: ("external_id", {"external_id": f"x{number}"})),
    st.sampled_from((0, 1, 2)).map(lambda number: ("identifiers", {"anonymous_id": f"a{number}"})),
    st.sampled_from((0, 1, 2)).map(
        lambda number: ("custom", {"field_name": "customer_id", "field_value": f"c{number}"})
    ),
    st.sampled_from((0, 1, 2)).map(lambda number: ("profile_id", {"profile_id": f"p{number}"})),
    st.sampled_from(TOKENS).map(lambda token: ("push_sub", {"provider": "apns", "subscription_id": token})),
).map(lambda match: {"mode": match[0], "values": match[1]})

NULLS = st.none()
PATCHES = _optional(
    given_name=WORDS | NULLS,
    family_name=WORDS | NULLS,
    email=st.sampled_from(EMAILS) | NULLS,
    external_id=st.sampled_from(("x0", "x1", "x3")) | NULLS,
    phone_numbers=st.lists(st.sampled_from(PHONES), max_size=2, unique=True) | NULLS,
    address=_optional(locality=WORDS | NULLS) | NULLS,
    custom=_optional(
        points=NUMBERS | NULLS,
        color=WORDS | NULLS,
        tags=st.lists(WORDS, max_size=2, unique=True) | NULLS,
        customer_id=st.sampled_from(("c0", "c1", "c3")) | NULLS,
    ),
)


def _operation(function: str, field: str, value: st.SearchStrategy[Any], **more: Any) -> st.SearchStrategy[Update]:
    pointer = f"/custom/{field}"
    return value.map(lambda each: {"function": function, "pointer": pointer, "value": each, **more})


OPERATIONS = st.one_of(
    _operation("incr", "points", NUMBERS),
    _operation("add", "tags", st.lists(WORDS, min_size=1, max_size=2)),
    _operation("delete", "tags", st.lists(WORDS, min_size=1, max_size=2)),
    _operation("set_first", "tags", st.lists(WORDS, min_size=1, max_size=2)),
    _operation("upsert", "plan", NUMBERS, submatch="price"),
    _operation("set", "color", WORDS),
)
SEGMENTS = _optional(
    add=st.lists(st.integers(1, 4), min_size=1, max_size=2, unique=True),
    remove=st.lists(st.integers(1, 4), min_size=1, max_size=2, unique=True),
)
FIELD_UPDATES = st.fixed_dictionaries(
    {"match": MATCHES},
    optional={
        "profile": PATCHES,
        "operations": st.lists(OPERATIONS, min_size=1, max_size=3),
        "subscriptions": st.lists(EDITS, min_size=1, max_size=2),
        "remove_subscriptions": st.lists(ADDRESSES, min_size=1, max_size=1),
        "suppressions": _optional(add=st.lists(ADDRESSES, max_size=1), remove=st.lists(ADDRESSES, max_size=1)),
        "segments": SEGMENTS,
        "set_once": st.just(["/given_name"]),
        "timestamps": st.just(["/custom/seen"]),
        "replace": st.just(["given_name", "address"]),
        "on_conflict": st.sampled_from(
            ({"email": "reject", "custom": "reject"}, {"external_id": "keep", "email": "keep"})
        ),
        "detach_from_others": st.sampled_from(TOKENS).map(
            lambda token: {
                "match": {"mode": "push_sub", "values": {"provider": "apns", "subscription_id": token}},
                "remove_subscriptions": [{"channel": "push", "provider": "apns", "subscription_id": token}],
            }
        ),
    },
)


def _patch(op: str, paths: tuple[str, ...], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Update]:
    """One operation of a JSON Patch, in Courier's names."""
    return st.builds(lambda path, each: {"op": op, "path": path, "value": each}, st.sampled_from(paths), value)


PATCH_OPERATIONS = st.one_of(
    _patch("add", ("/given_name", "/family_name", "/nickname"), WORDS),
    _patch("add", ("/address",), st.builds(lambda word: {"locality": word}, WORDS)),
    _patch("add", ("/custom",), OWN_FIELDS),
    _patch("add", ("/custom/tags/-", "/custom/tags/0"), WORDS),
    _patch("replace", ("/email",), st.sampled_from(EMAILS)),
    _patch("add", ("/phone_number",), st.sampled_from(PHONES)),
    _patch("replace", ("/custom/customer_id",), st.sampled_from(("c0", "c1", "c3"))),
    _patch("test", ("/given_name",), WORDS),
    st.sampled_from(("/given_name", "/custom/color", "/phone_number")).map(lambda path: {"op": "remove", "path": path}),
    st.just({"op": "copy", "from": "/email", "path": "/nickname"}),
    st.just({"op": "move", "from": "/email", "path": "/custom/address"}),
)
JSON_PATCHES = st.fixed_dictionaries(
    {"match": MATCHES, "patch": st.lists(PATCH_OPERATIONS, min_size=1, max_size=3)},
)
UPDATES = st.one_of(FIELD_UPDATES, FIELD_UPDATES, JSON_PATCHES)
MERGES = st.fixed_dictionaries(
    {"move_subscriptions": st.booleans(), "move_segments": st.booleans(), "remove_sources": st.booleans()},
    optional={"profile": st.just({"given_name": "red"})},
)
