"""Klaviyo's calls about consent: jobs, the form, the calls of 2023, suppressions."""

from dataclasses import dataclass
from typing import Any

from tests.consent.calls import LIST, Call, chosen, job
from tests.consent.ledger import key_of
from tests.consent.world import KLAVIYO, Answer, World


@dataclass(frozen=True)
class Person:
    """A profile of a job: an e-mail address, a phone, or both, and perhaps the id of a present profile."""

    email: str | None = None
    phone: str | None = None
    profile: int | None = None

    def addresses(self) -> dict[str, str]:
        """Return the addresses by channel."""
        given = {"email": self.email, "sms": self.phone}
        return {channel: address for channel, address in given.items() if address}

    def resource(self, world: World, consent: str, with_id: bool) -> dict[str, Any]:
        given = {"email": self.email, "phone_number": self.phone}
        named = {name: value for name, value in given.items() if value}
        subscriptions = {channel: {"marketing": {"consent": consent}} for channel in self.addresses()}
        id = chosen(world, self.profile) if with_id and self.profile is not None else None
        return {
            "type": "profile",
            **({"id": id} if id else {}),
            "attributes": {**named, "subscriptions": subscriptions},
        }

    def candidates(self, world: World) -> set[str]:
        """Return the profiles that this person may be, as they are after the call."""
        found = [world.owners(channel, address) for channel, address in self.addresses().items()]
        return set.intersection(*found) or set.union(*found)


@dataclass(frozen=True)
class Subscribe(Call):
    """The subscription job, or the form, which is public and names no id."""

    people: tuple[Person, ...] = ()
    is_form: bool = False

    async def run(self, world: World) -> Answer | None:
        people = self.people[:1] if self.is_form else self.people
        resources = [person.resource(world, "SUBSCRIBED", not self.is_form) for person in people]
        if self.is_form:
            tree = job("subscription", {"profile": {"data": resources[0]}}, relationships=LIST)
            path, headers = "/client/subscriptions?company_id=demo", {"revision": KLAVIYO["revision"]}
        else:
            tree = job("profile-subscription-bulk-create-job", {"profiles": {"data": resources}})
            path, headers = "/api/profile-subscription-bulk-create-jobs", KLAVIYO
        answer = await self._send(world, "POST", path, tree, headers)
        if answer.status < 300:
            await world.read()
            for person, resource in zip(people, resources, strict=True):
                self._write(world, person, resource.get("id"))
        return answer

    def _write(self, world: World, person: Person, id: str | None) -> None:
        """A form leaves out what the profile does not allow, so one with two addresses may subscribe less."""
        named = {id} if id else person.candidates(world)
        for channel, address in person.addresses().items():
            world.ledger.subscribe(named, key_of(channel, address))
        if self.is_form and len(person.addresses()) > 1:
            world.ledger.subscribed.clear()


@dataclass(frozen=True)
class Unsubscribe(Call):
    """The unsubscription job, or the call of 2023. It is about addresses, for every profile that has them."""

    people: tuple[Person, ...] = ()
    is_old: bool = False

    async def run(self, world: World) -> Answer | None:
        given = [person.addresses() for person in self.people]
        if self.is_old:
            lists = {"emails": [each["email"] for each in given if "email" in each]}
            lists |= {"phone_numbers": [each["sms"] for each in given if "sms" in each]}
            attributes = {"list_id": "L1", **{name: values for name, values in lists.items() if values}}
            tree = job("profile-unsubscription-bulk-create-job", attributes)
            path = "/api/profile-unsubscription-bulk-create-jobs"
        else:
            resources = [person.resource(world, "UNSUBSCRIBED", False) for person in self.people]
            tree = job("profile-subscription-bulk-delete-job", {"profiles": {"data": resources}})
            path = "/api/profile-subscription-bulk-delete-jobs"
        answer = await self._send(world, "POST", path, tree, KLAVIYO)
        if answer.status < 300:
            for channel, address in (pair for each in given for pair in each.items()):
                world.ledger.add("unsubscribed", key_of(channel, address))
        return answer


@dataclass(frozen=True)
class Suppress(Call):
    """The suppression job of one address."""

    email: str = ""

    async def run(self, world: World) -> Answer | None:
        answer = await self._send(world, "POST", *suppression("suppression-bulk-create-job", self.email), KLAVIYO)
        if answer.status < 300 and answer.tree["data"]["attributes"]["skipped_count"] == 0:
            world.ledger.add("suppressed", key_of("email", self.email))
        return answer


@dataclass(frozen=True)
class Unsuppress(Call):
    """The job that lifts the suppression of one address, or the call of 2023. It lifts nothing else."""

    email: str = ""
    is_old: bool = False

    async def run(self, world: World) -> Answer | None:
        type = "unsuppression-bulk-create-job" if self.is_old else "suppression-bulk-delete-job"
        answer = await self._send(world, "POST", *suppression(type, self.email), KLAVIYO)
        if answer.status < 300:
            world.ledger.unsuppress(key_of("email", self.email))
        return answer


def suppression(type: str, email: str) -> tuple[str, Any]:
    person = {"type": "profile", "attributes": {"email": email}}
    return f"/api/profile-{type}s", job(f"profile-{type}", {"profiles": {"data": [person]}})
