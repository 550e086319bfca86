"""The conversations of `fixtures/` as values, and a world for each to run in. Reads files; asserts nothing."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.fingerprint import fingerprint
from gateway.core.matching import identities
from gateway.core.model import Change, Database, Edited, Job, Origin, Profile, Resource, Segment, Token, Write
from gateway.stores import Store

FIXTURES = Path(__file__).parents[1] / "fixtures"
MEDIA_TYPES = {"json": "application/json", "xml": "application/xml"}
HOST = "gateway.example"
NOW = 1_767_225_600_000
YESTERDAY = NOW - 24 * 60 * 60 * 1000
IDENTIFIERS = {"type": "object", "properties": {"customer_id": {"type": "string", "x-identifier": True}}}
TOKENS = {
    "abcdefghijklmnqrstuvwxyz": (1, ("read", "write", "delete")),
    "only-reads": (1, ("read",)),
    "only-writes": (1, ("write",)),
    "only-deletes": (1, ("delete",)),
    "was-revoked": (1, ("read", "write", "delete")),
    "of-database-2": (2, ("read", "write", "delete")),
}


@dataclass(frozen=True)
class Case:
    """One conversation in one media type."""

    folder: Path
    media: str
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}[{self.media}]"

    @property
    def request(self) -> bytes:
        file = self.folder / f"request.{self.media}"
        return file.read_bytes() if file.exists() else b""

    @property
    def response(self) -> bytes:
        return (self.folder / f"response.{self.reply}").read_bytes()

    @property
    def reply(self) -> str:
        return self.about.get("reply", self.media)

    @property
    def headers(self) -> dict[str, str]:
        given = {"host": HOST, **{name.lower(): value for name, value in self.about.get("headers", {}).items()}}
        return {"content-type": MEDIA_TYPES[self.media], **given} if self.request else given

    def value(self, file: str, default: Any = None) -> Any:
        path = self.folder / file
        return json.loads(path.read_text()) if path.exists() else default

    @property
    def after(self) -> list[dict[str, Any]]:
        return self.value("after.json", self.value("before.json", []))


def cases(*dialects: str) -> Iterator[Case]:
    """Every case of these dialects, once for each request file; one without a body runs in JSON."""
    for dialect in dialects:
        for about in sorted((FIXTURES / dialect).glob("*/case.json")):
            folder = about.parent
            present = [media for media in MEDIA_TYPES if (folder / f"request.{media}").exists()]
            for media in present or ["json"]:
                yield Case(folder, media, json.loads(about.read_text()))


def ids() -> Iterator[str]:
    return (f"{0xA1 + number:024x}" for number in itertools.count())


async def furnish(store: Store, case: Case) -> None:
    """Puts into an empty store what a case begins with."""
    described = case.about.get("database", {})
    await store.add_database(database_of(described))
    await store.add_database(Database(2, "second"))
    for resource in described.get("resources", ()):
        categories = tuple(resource.get("categories", ()))
        await store.add_resource(1, Resource(resource["id"], resource["name"], categories, resource.get("fields", {})))
    for segment in described.get("segments", ()):
        await store.add_segment(1, Segment(**segment))
    for secret, (database, rights) in TOKENS.items():
        hashed = fingerprint(secret)
        await store.add_token(Token(secret, hashed, database, frozenset(rights), YESTERDAY))
    await store.revoke_token("was-revoked")
    declared = database_of(described).fields.get("properties", {})
    identifiers = tuple(name for name, field in declared.items() if field.get("x-identifier"))
    for row in case.value("jobs.json", []):
        await store.add_job(1, Job(**{**row, "profiles": tuple(row["profiles"]), "failures": tuple(row["failures"])}))
    for row in case.value("before.json", []):
        await _put(store, row, identifiers)


def database_of(described: Mapping[str, Any]) -> Database:
    fields = described.get("fields", IDENTIFIERS)
    return Database(1, "default", described.get("closed", False), fields, company_id="demo")


async def _put(store: Store, row: Mapping[str, Any], identifiers: tuple[str, ...]) -> None:
    profile = Profile(row["id"], row["document"], 1, YESTERDAY, YESTERDAY)
    write = Write(None, profile, identities(profile.document, identifiers))
    edited = Edited(profile, (write,))
    await store.change([Change(1, (), lambda _find: edited, Origin("fixture", "fixture", YESTERDAY))])


async def stored(store: Store) -> list[dict[str, Any]]:
    """The profiles of database 1, read back through the record of changes: every id that was ever written."""
    seen: dict[str, None] = {}
    async for change in store.changes(1):
        seen[change.profile] = None
    found = [await store.find(1, [("id", name)]) for name in seen]
    return [{"id": profile.id, "document": profile.document} for profiles in found for profile in profiles]
