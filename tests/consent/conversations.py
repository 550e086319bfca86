"""Short sequences, one for each way to lose an opt-out. The name says what holds."""

from collections.abc import Mapping, Sequence

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
    Media,
    Row,
)
from tests.consent.klaviyo_consent import Person, Subscribe, Suppress, Unsubscribe, Unsuppress
from tests.consent.sequences import Reload, Repeat

A, B, PHONE, OTHER_PHONE = "a@example.com", "b@example.com", "+79211234567", "+12025550123"
Conversation = Sequence[Call]


def altcraft(email: str, *rows: Row, media: str = "json", **members: object) -> AltcraftWrite:
    """Import a profile by its e-mail address."""
    return AltcraftWrite(media, match=email, element=Element(email, rows=rows), **members)  # type: ignore[arg-type]


def mail(status: object, address: str = A, **members: object) -> Row:
    return Row("email", address, status, **members)  # type: ignore[arg-type]


def sms(status: object, address: str = PHONE, **members: object) -> Row:
    return Row("sms", address, status, **members)  # type: ignore[arg-type]


ANN = KlaviyoWrite(email=A, external_id="one")
SUBSCRIBE, UNSUBSCRIBE = Subscribe(people=(Person(A),)), Unsubscribe(people=(Person(A),))
UNSUBSCRIBE_B = Unsubscribe(people=(Person(B),))
CALL_ANN = Subscribe(people=(Person(phone=PHONE),))
TEXTS = [KlaviyoWrite(phone=PHONE, external_id="one"), CALL_ANN]
UNSUBSCRIBE_OTHER_PHONE = Unsubscribe(people=(Person(phone=OTHER_PHONE),))
SHARED_PHONE = AltcraftBatch(call="add", elements=(Element(A, PHONE), Element(B, PHONE)))
SHARED_EMAIL = [CourierWrite(external_id="one", email=A), CourierWrite(external_id="two", email=A)]

CHANGES: dict[str, Call] = {
    "Klaviyo's import": KlaviyoWrite(email=B, external_id="one"),
    "Klaviyo's import in XML": KlaviyoWrite("xml", email=B, external_id="one"),
    "Klaviyo's bulk import": KlaviyoWrite(call="bulk", email=B, external_id="one"),
    "Klaviyo's PATCH": KlaviyoWrite(call="patch", profile=0, email=B),
    "Klaviyo's PATCH in XML": KlaviyoWrite("xml", call="patch", profile=0, email=B),
    "Altcraft's update": AltcraftWrite(call="update", match=A, element=Element(B)),
    "Altcraft's update in XML": AltcraftWrite("xml", call="update", match=A, element=Element(B)),
    "Altcraft's import by id": AltcraftWrite(matching="profile_id", match=0, element=Element(B)),
    "Courier's POST": CourierWrite(email=B),
    "Courier's PUT": CourierWrite(method="PUT", email=B),
    "Courier's PATCH": CourierWrite(method="PATCH", email=B),
    "Courier's PATCH in XML": CourierWrite("xml", method="PATCH", email=B),
}
PHONE_CHANGES: dict[str, Call] = {
    "Klaviyo's import": KlaviyoWrite(phone=OTHER_PHONE, external_id="one"),
    "Klaviyo's PATCH in XML": KlaviyoWrite("xml", call="patch", profile=0, phone=OTHER_PHONE),
    "Altcraft's update": AltcraftWrite(
        call="update", matching="phone", match=PHONE, element=Element(phone=OTHER_PHONE)
    ),
    "Courier's PATCH": CourierWrite(method="PATCH", phone=OTHER_PHONE),
}
BY_ADDRESS: Mapping[str, Conversation] = {
    **{
        f"an unsubscription of the new address counts after {name}": [ANN, SUBSCRIBE, change, UNSUBSCRIBE_B]
        for name, change in CHANGES.items()
    },
    **{
        f"an unsubscribed address comes back by {name}": [
            *(KlaviyoWrite(email=B), UNSUBSCRIBE_B, KlaviyoDeletion(value=B)),
            *(ANN, SUBSCRIBE, change),
        ]
        for name, change in CHANGES.items()
    },
    **{
        f"a new address can be subscribed after {name}": [
            *(ANN, UNSUBSCRIBE, change, Subscribe(people=(Person(B),))),
        ]
        for name, change in CHANGES.items()
    },
    **{
        f"an SMS unsubscription of the new phone counts after {name}": [*TEXTS, change, UNSUBSCRIBE_OTHER_PHONE]
        for name, change in PHONE_CHANGES.items()
    },
    "an unsubscription of a former address, which returns": [
        *(ANN, SUBSCRIBE, CHANGES["Courier's POST"], UNSUBSCRIBE, CourierWrite(email=A)),
    ],
    "an unsubscription in Altcraft's XML of the new address": [
        *(ANN, SUBSCRIBE, CHANGES["Klaviyo's PATCH"], altcraft(B, mail("unsubscribed", B), media="xml")),
    ],
    "an unsubscription by the call of 2023 of the new address": [
        *(ANN, SUBSCRIBE, CHANGES["Klaviyo's PATCH"], Unsubscribe(people=(Person(B),), is_old=True)),
    ],
}

NOT_MAILABLE = ("unsubscribed", "complained", "hardbounced", "invalid", 1, 2, 3, 6)
STATUSES: Mapping[str, Conversation] = {
    **{
        f"the status {status!r} is not mailable, by e-mail and SMS, in {media}": [
            altcraft(A, mail(status), sms(status), media=media),
            AltcraftWrite(media, matching="phone", match=PHONE, element=Element(phone=PHONE)),
        ]
        for status in NOT_MAILABLE
        for media in ("json", "xml")
    },
    **{
        f"the status {status!r} is subscribed in {media}": [altcraft(A, mail(status), media=media)]
        for status in ("subscribed", 0)
        for media in ("json", "xml")
    },
    **{
        f"{lift} does not lift {status!r}": [altcraft(A, mail(status)), call]
        for status in ("hardbounced", "invalid", 3, 6)
        for lift, call in {
            "a job": SUBSCRIBE,
            "a form": Subscribe(people=(Person(A),), is_form=True),
            "a job in XML": Subscribe("xml", people=(Person(A),)),
            "Altcraft's subscribed": altcraft(A, mail("subscribed")),
            "Altcraft's 0 in XML": altcraft(A, mail(0), media="xml"),
            "an unsuppression": Unsuppress(email=A),
        }.items()
    },
    **{
        f"{lift} lifts {status!r}": [altcraft(A, mail(status)), call]
        for status in ("unsubscribed", "complained", 1, 2)
        for lift, call in {
            "a job": SUBSCRIBE,
            "a form": Subscribe(people=(Person(A),), is_form=True),
            "Altcraft's subscribed": altcraft(A, mail("subscribed")),
            "Altcraft's 0 in XML": altcraft(A, mail(0), media="xml"),
        }.items()
    },
    **{
        f"the status {status!r} in {media} keeps an opt-out": [
            *(altcraft(A, mail("unsubscribed")), altcraft(A, mail(status, nested=nested), media=media)),
        ]
        for status in (None, -1, "absent", "unconfirmed", "suspended", 4, 5)
        for media, nested in (("json", False), ("json", True), ("xml", False), ("xml", True))
    },
    "a batch with a null status keeps an opt-out": [
        *(altcraft(A, mail("unsubscribed")), AltcraftBatch(elements=(Element(A, rows=(mail(None),)),))),
    ],
    "subscriptions/set with a null status keeps an opt-out": [
        *(altcraft(A, mail("unsubscribed", resource=5)), AltcraftSet(row=mail(None, resource=5))),
    ],
    "a bounce outlives an unsubscription and a subscription": [
        *(altcraft(A, mail("hardbounced")), altcraft(A, mail("unsubscribed")), altcraft(A, mail("subscribed"))),
    ],
}

SHARED: Mapping[str, Conversation] = {
    "an SMS unsubscription of a shared phone, and the rest of the job": [
        *(SHARED_PHONE, KlaviyoWrite(email="c@example.com"), Subscribe(people=(Person("c@example.com"),))),
        Unsubscribe(people=(Person("c@example.com"), Person(phone=PHONE))),
    ],
    "the same in XML": [SHARED_PHONE, Unsubscribe("xml", people=(Person(phone=PHONE),))],
    "the same by the call of 2023": [*SHARED_EMAIL, Unsubscribe(people=(Person(A),), is_old=True)],
    "a suppression of a shared address": [*SHARED_EMAIL, Suppress(email=A)],
    "an Altcraft opt-out of a shared phone": [
        *(altcraft(A, sms("subscribed")), altcraft(B, sms("subscribed")), altcraft(B, sms("unsubscribed"))),
    ],
    "an Altcraft opt-out in a batch in XML": [
        *(altcraft(A, mail(0, B, resource=5)), AltcraftBatch("xml", elements=(Element(B, rows=(mail(1, B),)),))),
    ],
    "an opt-out of one resource is none of another": [
        *(altcraft(A, mail("subscribed", resource=5)), altcraft(A, mail("unsubscribed")), SUBSCRIBE),
        *(altcraft(A, mail("unsubscribed", resource=5)), SUBSCRIBE),
    ],
    "a subscription of one profile is none of another": [
        *(altcraft(A, sms("subscribed")), altcraft(B, sms("unsubscribed")), altcraft(B, sms("subscribed"))),
    ],
    "a profile that gets the address later": [altcraft(A, sms("unsubscribed")), altcraft(B, sms("absent"))],
    "an own phone that another profile unsubscribed": [
        *(AltcraftBatch(call="add", elements=(Element(B, PHONE, (sms("subscribed"),)),)), altcraft(A, sms(1))),
    ],
}


def merge(status: object, side: str, when: str, media: Media = "json") -> Conversation:
    """A merge of two profiles with subscriptions of one address. The one of `side` has the status."""
    survivor = altcraft(A, mail(status if side == "survivor" else "subscribed", "s@example.com"))
    source = altcraft(B, mail(status if side == "source" else "subscribed", "s@example.com"))
    if (side == "survivor") == (when == "first"):
        return [survivor, source, KlaviyoMerge(media, destination=0, sources=(1,))]
    return [source, survivor, KlaviyoMerge(media, destination=1, sources=(0,))]


MERGES: Mapping[str, Conversation] = {
    f"a merge keeps {status!r} of the {side}, written {when}": merge(status, side, when)
    for status in ("unsubscribed", 1, "complained", 3)
    for side in ("source", "survivor")
    for when in ("first", "last")
} | {
    "a merge keeps the suppression of the source": [
        *(altcraft(A), altcraft(B, mail("subscribed", B)), Suppress(email=B), KlaviyoMerge()),
    ],
    "a merge in XML keeps an opt-out": merge("unsubscribed", "source", "last", "xml"),
    "a merge keeps the opt-out of a source that has the phone as its own": [
        *(altcraft(A, sms("unsubscribed")), altcraft(A, sms("subscribed"))),
        *(AltcraftWrite(call="add", match=B, element=Element(B, PHONE)), KlaviyoMerge()),
    ],
    "a merge of three keeps the strictest": [
        *(altcraft(A, sms(0)), altcraft(B, sms(1)), altcraft("c@example.com", sms(0))),
        KlaviyoMerge(sources=(1, 2)),
    ],
}

SUPPRESSIONS: Mapping[str, Conversation] = {
    "a suppression outlives a change of address and back": [
        *(ANN, Suppress(email=A), CHANGES["Klaviyo's PATCH"], CourierWrite(email=A)),
    ],
    "a suppression of the former address is none of the new one": [
        *(ANN, Suppress(email=A), CHANGES["Klaviyo's PATCH"], Subscribe(people=(Person(B),))),
    ],
    "a suppression is one in Altcraft's view": [altcraft(A, mail("subscribed")), Suppress(email=A)],
    "a suppression of an address that comes later": [Suppress(email=A), KlaviyoDeletion(value=A), ANN],
    "an unsuppression lifts no unsubscription": [ANN, UNSUBSCRIBE, Suppress(email=A), Unsuppress(email=A)],
    "an unsuppression in XML lifts no complaint": [altcraft(A, mail(2)), Unsuppress("xml", email=A)],
    "a job lifts a suppression": [ANN, Suppress(email=A), SUBSCRIBE],
    "a form lifts a suppression": [ANN, Suppress(email=A), Subscribe(people=(Person(A),), is_form=True)],
    "a fill by a public call lifts none": [ANN, Suppress(email=A), KlaviyoWrite(call="client", email=A, phone=PHONE)],
}

REMOVALS: Mapping[str, Conversation] = {
    f"an opt-out outlives {name} and a {again}": [altcraft(A, opt_out), CourierWrite(email=A), removal, call]
    for opt_out in (mail("unsubscribed"),)
    for name, removal in {
        "a privacy deletion": KlaviyoDeletion(value=A),
        "a privacy deletion in XML": KlaviyoDeletion("xml", value=A),
        "Altcraft's delete": AltcraftDelete(profile=0),
    }.items()
    for again, call in {"new profile": ANN, "new profile without a status": altcraft(A, mail("absent"))}.items()
} | {
    "an opt-out outlives Courier's DELETE": [
        *(CourierWrite(email=A), UNSUBSCRIBE, CourierDelete(), CourierWrite(email=A)),
    ],
    "a bounce outlives a privacy deletion": [
        *(altcraft(A, mail("hardbounced")), KlaviyoDeletion(value=A), ANN, SUBSCRIBE),
    ],
    "an opt-out outlives a dump and a load": [
        *(altcraft(A, mail("unsubscribed")), KlaviyoDeletion(value=A), Reload(), ANN),
    ],
    "an opt-out of a shared phone outlives a dump and a load": [
        *(SHARED_PHONE, altcraft(A, sms("unsubscribed")), Reload()),
    ],
}

REPEATS: Mapping[str, Conversation] = {
    "a repeated subscription job does not lift an opt-out": [
        *(ANN, Subscribe(people=(Person(A),), keyed=True), UNSUBSCRIBE, Repeat()),
    ],
    "a repeated import does not lift an opt-out": [
        *(altcraft(A, mail("subscribed"), keyed=True), UNSUBSCRIBE, Repeat()),
    ],
    "a repeated unsuppression does not lift a suppression": [
        *(ANN, Suppress(email=A), Unsuppress(email=A, keyed=True), Suppress(email=A), Repeat()),
    ],
    "a repeated import after a load does not lift an opt-out": [
        *(altcraft(A, mail("subscribed"), keyed=True), UNSUBSCRIBE, Reload(), Repeat()),
    ],
}

CONVERSATIONS = {**BY_ADDRESS, **STATUSES, **SHARED, **MERGES, **SUPPRESSIONS, **REMOVALS, **REPEATS}
