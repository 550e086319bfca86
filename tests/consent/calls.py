"""The calls of every dialect that touch profiles, addresses or consent: each sends a request, and writes in the ledger
what was said in it, where the answer is a success.

`profile` is a number that one of the present profiles is chosen by.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tests.consent.ledger import Key, key_of
from tests.consent.world import COURIER, KLAVIYO, TOKEN, Answer, World

Media: TypeAlias = Literal["json", "xml"]
ROOT = "/api/v1.1"
LIST = {"list": {"data": {"type": "list", "id": "L1"}}}


@dataclass(frozen=True)
class Call:
    """One step of a sequence. Calls that write may be in XML, and may have an Idempotency-Key."""

    media: Media = "json"
    keyed: bool = False

    async def run(self, world: World) -> Answer | None:
        """Make the call. Return None where it needs profiles that are not there."""
        raise NotImplementedError

    async def _send(self, world: World, method: str, path: str, tree: Any, headers: Any = None) -> Answer:
        return await world.send(method, path, tree, headers, self.media, self.keyed)


def chosen(world: World, number: int) -> str | None:
    """Return the id of a present profile; None where there is none."""
    ids = sorted(world.klaviyo)
    return ids[number % len(ids)] if ids else None


# --- Altcraft ---


@dataclass(frozen=True)
class Row:
    """A subscription as a client sends it. The status `absent` is not sent."""

    channel: str
    address: str
    status: Any = "absent"
    resource: int | None = None
    nested: bool = False

    def members(self) -> dict[str, Any]:
        name = "email" if self.channel == "email" else "phone"
        address = {f"{name}_data": {name: self.address}} if self.nested else {name: self.address}
        status = {} if self.status == "absent" else {"status": self.status}
        resource = {} if self.resource is None else {"resource_id": self.resource}
        return {"channel": self.channel, **resource, **address, **status}

    @property
    def key(self) -> Key:
        return key_of(self.channel, self.address, self.resource)


@dataclass(frozen=True)
class Element:
    """The data of one profile."""

    email: str | None = None
    phone: str | None = None
    rows: tuple[Row, ...] = ()

    def data(self) -> dict[str, Any]:
        email = {"email": self.email} if self.email else {}
        phones = {"phones": [self.phone]} if self.phone else {}
        rows = {"subscriptions": [row.members() for row in self.rows]} if self.rows else {}
        return {**email, **phones, **rows}


@dataclass(frozen=True)
class AltcraftWrite(Call):
    """`profiles/import`, `update` and `add`. `match` is an e-mail address, a phone, or the number of a profile."""

    call: str = "import"
    matching: str = "email"
    match: str | int = ""
    element: Element = Element()

    async def run(self, world: World) -> Answer | None:
        match = chosen(world, self.match) if isinstance(self.match, int) else self.match
        if match is None:
            return None
        name = next(name for name in ("profile_id", "email", "phone") if self.matching.startswith(name))
        search = {} if self.call == "add" else {"matching": self.matching, name: match}
        tree = {"token": TOKEN, "db_id": 1, **search, "data": self.element.data()}
        answer = await self._send(world, "POST", f"{ROOT}/profiles/{self.call}", tree)
        if answer.status == 200:
            _write_rows(world, answer.tree, self.element)
        return answer


@dataclass(frozen=True)
class AltcraftBatch(Call):
    """`profiles/import_batch`, `update_batch` and `add_batch`, by e-mail address or phone of the data."""

    call: str = "import"
    matching: str = "email_phone"
    elements: tuple[Element, ...] = ()

    async def run(self, world: World) -> Answer | None:
        data = [element.data() for element in self.elements]
        search = {} if self.call == "add" else {"matching": self.matching}
        tree = {"token": TOKEN, "db_id": 1, **search, "data": data}
        answer = await self._send(world, "POST", f"{ROOT}/profiles/{self.call}_batch", tree)
        if answer.status == 200:
            for row, element in zip(answer.tree["result"], self.elements, strict=True):
                _write_rows(world, row, element)
        return answer


def _write_rows(world: World, answer: Any, element: Element) -> None:
    """Of several statuses of one key, each counts, in order."""
    if answer["error"] == 0:
        for row in element.rows:
            world.ledger.write(answer["profile_id"], row.key, row.status)


@dataclass(frozen=True)
class AltcraftSet(Call):
    """`subscriptions/set`, which needs a resource."""

    profile: int = 0
    row: Row = Row("email", "")

    async def run(self, world: World) -> Answer | None:
        id = chosen(world, self.profile)
        if id is None:
            return None
        tree = {"token": TOKEN, "db_id": 1, "profile_id": id, **self.row.members()}
        answer = await self._send(world, "POST", f"{ROOT}/subscriptions/set", tree)
        if answer.status == 200:
            world.ledger.write(id, self.row.key, self.row.status)
        return answer


@dataclass(frozen=True)
class AltcraftDelete(Call):
    """A deletion. No earlier request is repeated after it: its answer may be gone with the profile."""

    profile: int = 0

    async def run(self, world: World) -> Answer | None:
        tree = {"token": TOKEN, "db_id": 1, "matching": "profile_id", "profile_id": chosen(world, self.profile)}
        world.kept.clear()
        return await self._send(world, "POST", f"{ROOT}/profiles/delete", tree) if world.klaviyo else None


# --- Courier ---


@dataclass(frozen=True)
class CourierWrite(Call):
    """POST, PUT or PATCH (RFC 6902) of a recipient: it changes addresses, and says nothing of consent."""

    method: str = "POST"
    external_id: str = "one"
    email: str | None = None
    phone: str | None = None

    async def run(self, world: World) -> Answer | None:
        identifiers = {name: value for name, value in (("email", self.email), ("phone_number", self.phone)) if value}
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in identifiers.items()]
        tree = {"patch": patch} if self.method == "PATCH" else {"profile": identifiers}
        return await self._send(world, self.method, f"/profiles/{self.external_id}", tree, COURIER)


@dataclass(frozen=True)
class CourierDelete(Call):
    external_id: str = "one"

    async def run(self, world: World) -> Answer | None:
        world.kept.clear()
        return await self._send(world, "DELETE", f"/profiles/{self.external_id}", None, COURIER)


# --- Klaviyo: profiles ---


@dataclass(frozen=True)
class KlaviyoWrite(Call):
    """`profile-import`, `profiles`, `profile-bulk-import-jobs`, `/client/profiles`, and PATCH of a present profile."""

    call: str = "profile-import"
    profile: int | None = None
    email: str | None = None
    phone: str | None = None
    external_id: str | None = None

    async def run(self, world: World) -> Answer | None:
        id = None if self.profile is None else chosen(world, self.profile)
        given = {"email": self.email, "phone_number": self.phone, "external_id": self.external_id}
        attributes = {name: value for name, value in given.items() if value}
        data = {"type": "profile", **({"id": id} if id else {}), "attributes": attributes}
        if self.call == "patch":
            return await self._send(world, "PATCH", f"/api/profiles/{id}", {"data": data}, KLAVIYO) if id else None
        if self.call == "client":
            path = "/client/profiles?company_id=demo"
            return await self._send(world, "POST", path, {"data": data}, {"revision": KLAVIYO["revision"]})
        if self.call == "bulk":
            tree = job("profile-bulk-import-job", {"profiles": {"data": [data]}})
            return await self._send(world, "POST", "/api/profile-bulk-import-jobs", tree, KLAVIYO)
        return await self._send(world, "POST", f"/api/{self.call}", {"data": data}, KLAVIYO)


@dataclass(frozen=True)
class KlaviyoMerge(Call):
    destination: int = 0
    sources: tuple[int, ...] = (1,)

    async def run(self, world: World) -> Answer | None:
        destination, *sources = dict.fromkeys(chosen(world, each) for each in (self.destination, *self.sources))
        if destination is None or not sources:
            return None
        rows = [{"type": "profile", "id": id} for id in sources]
        data = {"type": "profile-merge", "id": destination, "relationships": {"profiles": {"data": rows}}}
        answer = await self._send(world, "POST", "/api/profile-merge", {"data": data}, KLAVIYO)
        if answer.status < 300:
            world.ledger.merge(destination, [id for id in sources if id], world.rows())
        return answer


@dataclass(frozen=True)
class KlaviyoDeletion(Call):
    """A privacy deletion, by e-mail address, phone or the number of a profile."""

    attribute: str = "email"
    value: str | int = ""

    async def run(self, world: World) -> Answer | None:
        value = chosen(world, self.value) if isinstance(self.value, int) else self.value
        if value is None:
            return None
        named = {"id": value} if self.attribute == "id" else {"attributes": {self.attribute: value}}
        tree = job("data-privacy-deletion-job", {"profile": {"data": {"type": "profile", **named}}})
        answer = await self._send(world, "POST", "/api/data-privacy-deletion-jobs", tree, KLAVIYO)
        world.kept.clear()
        return answer


def job(type: str, attributes: Any, **members: Any) -> Any:
    return {"data": {"type": type, "attributes": attributes, **members}}
