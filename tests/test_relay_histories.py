"""A relay to a second gateway: both sides have the same profiles, in what the vendor can say.

`RELAY_HISTORIES` is the number of random histories of each pair of dialects and media type.
"""

import asyncio
import itertools
import json
import os
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.far_side import sayable
from tests.klaviyo_openapi import assert_valid
from tests.relay_pair import pair, write
from tests.test_outgoing import DIALECTS, documents_of, expected, leaves, texts

HISTORIES = int(os.environ.get("RELAY_HISTORIES", "2"))


def histories(media: set[str]) -> st.SearchStrategy[list[tuple[int, dict[str, Any]]]]:
    """Return steps: a person, and the document after it; an empty one removes the person."""
    values = st.one_of(texts, st.lists(texts, min_size=2, max_size=3)) if "xml" in media else leaves
    document = st.one_of(documents_of(values), documents_of(values), documents_of(values), st.just({}))
    return st.lists(st.tuples(st.integers(0, 2), document), min_size=1, max_size=8)


def of_person(number: int, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the identifiers of a person."""
    if not document:
        return {}
    email = f"person{number}@example.com"
    own: dict[str, Any] = {"external_id": f"customer-{number}", "email": email}
    subscriptions = [
        {**each, "email": email}
        if "email" in each
        else {**each, "subscription_id": f"{each['subscription_id']}-{number}"}
        for each in document.get("subscriptions", ())
    ]
    if "phone_numbers" in document:
        own["phone_numbers"] = [f"+1202555010{number}"]
    return {**document, **own, **({"subscriptions": subscriptions} if subscriptions else {})}


PAIRS = [
    *((source, target, "json", "json") for source, target in itertools.product(DIALECTS, DIALECTS)),
    *((source, "altcraft", "xml" if source == "altcraft" else "json", "xml") for source in DIALECTS),
    *(("altcraft", target, "xml", "json") for target in ("courier", "klaviyo")),
]


@pytest.mark.parametrize(("source", "target", "media", "far_media"), PAIRS)
def test_both_sides_have_the_same_profiles(source: str, target: str, media: str, far_media: str) -> None:
    @settings(max_examples=HISTORIES, phases=(Phase.explicit, Phase.reuse, Phase.generate))
    @given(histories({media, far_media}))
    def check(history: list[tuple[int, dict[str, Any]]]) -> None:
        asyncio.run(run_history(history, source, target, media, far_media))

    check()


async def run_history(
    history: list[tuple[int, dict[str, Any]]], source: str, target: str, media: str, far_media: str
) -> None:
    async with pair(source, target, media, far_media, deletes=True) as (found, network):
        documents: dict[int, dict[str, Any]] = {}
        for number, (person, document) in enumerate(history):
            before, after = documents.get(person, {}), of_person(person, document)
            if before or after:
                await write(found.near, source, f"p{person}", before, after)
            documents[person] = after
            if number % 3 == 2:
                await found.catch_up()
        await found.catch_up()
        assert [each.reason for each in await found.dead()] == []
        for each in network.seen if target == "klaviyo" else ():
            assert_valid(each.method, each.url.path, json.loads(each.content) if each.content else None)
        near = {each["email"]: each for each in await found.near.documents()}
        far = {each["email"]: each for each in await found.far.documents() if "email" in each}
        assert near.keys() == far.keys() or (target == "klaviyo" and near.keys() <= far.keys())
        for email, document in near.items():
            there = far[email] if "external_id" in document else {**far[email], "external_id": None}
            assert comparable(sayable(there, target), target) == comparable(expected(document, target), target)


def comparable(said: dict[str, Any], target: str) -> dict[str, Any]:
    """Return what is said without subscriptions that ended: for Klaviyo they are opt-outs."""
    if target != "klaviyo":
        return said
    own = [each for each in said.get("subscriptions", ()) if each.endswith(" subscribed")]
    rest = {name: value for name, value in said.items() if name != "subscriptions"}
    return {**rest, "subscriptions": own} if own else rest
