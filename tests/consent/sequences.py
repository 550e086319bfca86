"""Random sequences of calls. Few addresses and phones, shared between few profiles, so that sequences collide."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.consent.calls import (
    AltcraftBatch,
    AltcraftDelete,
    AltcraftSet,
    AltcraftWrite,
    Call,
    CourierDelete,
    CourierWrite,
    Element,
    KlaviyoDeletion,
    KlaviyoMerge,
    KlaviyoWrite,
    Row,
)
from tests.consent.klaviyo_consent import Person, Subscribe, Suppress, Unsubscribe, Unsuppress
from tests.consent.world import Answer, World

MAX_CALLS = 20


@dataclass(frozen=True)
class Repeat(Call):
    """An earlier request again, with its Idempotency-Key: it changes nothing."""

    number: int = 0

    async def run(self, world: World) -> Answer | None:
        return await world.send_again(world.kept[self.number % len(world.kept)]) if world.kept else None


@dataclass(frozen=True)
class Reload(Call):
    """A dump, and a load into a fresh store."""

    async def run(self, world: World) -> Answer | None:
        await world.reload()
        return None


emails = st.sampled_from(["a@example.com", "b@example.com", "A@Example.com"])
phones = st.sampled_from(["+79211234567", "+12025550123", "+7 921 123-45-67"])
klaviyo_phones = st.sampled_from(["+79211234567", "+12025550123"])
external_ids = st.sampled_from(["one", "two"])
numbers = st.integers(0, 3)
statuses = st.sampled_from(
    [
        *("unsubscribed", "subscribed", 1, 0) * 4,
        *("absent", None, -1, "complained", 2, "hardbounced", "invalid", "unconfirmed", "suspended", 3, 4, 5, 6),
    ]
)
resources = st.sampled_from([None, None, 5])


def rows(resources: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    others = {"status": statuses, "resource": resources, "nested": st.booleans()}
    return st.builds(Row, channel=st.just("email"), address=emails, **others) | st.builds(
        Row, channel=st.just("sms"), address=phones, **others
    )


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


elements = st.builds(
    Element, email=some(emails), phone=some(phones), rows=st.lists(rows(resources), max_size=3).map(tuple)
)
people = st.lists(
    st.builds(Person, email=emails, phone=some(klaviyo_phones), profile=some(numbers))
    | st.builds(Person, phone=klaviyo_phones, profile=some(numbers)),
    min_size=1,
    max_size=2,
).map(tuple)
sent: dict[str, Any] = {"media": st.sampled_from(["json", "xml"]), "keyed": st.booleans()}

altcraft_writes = st.one_of(
    *(
        st.builds(
            AltcraftWrite,
            call=st.sampled_from(["import", "update", "add"]),
            matching=st.sampled_from(modes),
            match=match,
            element=elements,
            **sent,
        )
        for modes, match in (
            (["email", "email_profile", "email_sub", "email_phone"], emails),
            (["phone", "phone_sub"], phones),
            (["profile_id"], numbers),
        )
    )
)
altcraft_batches = st.builds(
    AltcraftBatch,
    call=st.sampled_from(["import", "update", "add"]),
    matching=st.sampled_from(["email_phone", "email", "email_sub", "phone"]),
    elements=st.lists(elements, min_size=1, max_size=3).map(tuple),
    **sent,
)
altcraft_sets = st.builds(AltcraftSet, profile=numbers, row=rows(st.just(5)), **sent)
courier_writes = st.builds(
    CourierWrite,
    method=st.sampled_from(["POST", "PUT", "PATCH"]),
    external_id=external_ids,
    email=some(emails),
    phone=some(phones),
    **sent,
)
klaviyo_writes = st.builds(
    KlaviyoWrite,
    call=st.sampled_from(["profile-import", "profiles", "patch", "bulk", "client"]),
    profile=some(numbers),
    email=some(emails),
    phone=some(klaviyo_phones),
    external_id=some(external_ids),
    **sent,
)
consents = st.one_of(
    st.builds(Subscribe, people=people, is_form=st.booleans(), **sent),
    st.builds(Unsubscribe, people=people, is_old=st.booleans(), **sent),
    st.builds(Suppress, email=emails, **sent),
    st.builds(Unsuppress, email=emails, is_old=st.booleans(), **sent),
)
merges = st.builds(
    KlaviyoMerge, destination=numbers, sources=st.lists(numbers, min_size=1, max_size=2).map(tuple), **sent
)
deletions = st.one_of(
    st.builds(AltcraftDelete, profile=numbers, **sent),
    st.builds(CourierDelete, external_id=external_ids),
    st.builds(KlaviyoDeletion, attribute=st.just("email"), value=emails, **sent),
    st.builds(KlaviyoDeletion, attribute=st.just("phone_number"), value=klaviyo_phones, **sent),
    st.builds(KlaviyoDeletion, attribute=st.just("id"), value=numbers, **sent),
)
calls: st.SearchStrategy[Call] = st.one_of(
    *(altcraft_writes, altcraft_writes, altcraft_batches, altcraft_sets, consents, consents, consents, merges),
    *(courier_writes, klaviyo_writes, deletions, st.builds(Repeat, number=numbers), st.builds(Reload)),
)
beginnings = st.lists(altcraft_batches | courier_writes | klaviyo_writes, max_size=2)
halves = st.lists(calls, max_size=MAX_CALLS // 2)
sequences = st.tuples(beginnings, halves, halves).map(lambda parts: [call for part in parts for call in part])
"""Most sequences begin with some profiles, so that merges and updates find any. Two lists make longer sequences."""
