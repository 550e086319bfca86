"""A case: one conversation as a folder of files, and what it says in one media type.

Reads the files, and names what is wrong with them; sends nothing and judges no answer.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.pointer import join_pointer
from gateway.media import json as json_codec
from gateway.media import xml as xml_codec
from gateway.schema.declarations import COMMAND, PROFILE, SUBSCRIPTION
from gateway.schema.files import load_schema
from gateway.schema.validation import Validator
from gateway.testkit import matchers
from gateway.testkit.comparison import ABSENT, BOUNDS, Meaning, differences, meaning

HOST = "gateway.example"
"""The host that a request goes to where the case names none."""

MEDIA_TYPES = {"json": "application/json", "xml": "application/xml"}

FILES = {
    "case.json",
    *(f"{name}.json" for name in ("before", "jobs", "canonical", "after")),
    *(f"{name}.{media}" for name in ("request", "response") for media in MEDIA_TYPES),
}
"""What a case's folder may hold, of JSON and XML. Whatever has another extension is the reader's own."""


class IllFormed(ValueError):
    """A case that cannot be run: which file, and why."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


@dataclass(frozen=True)
class Case:
    """One conversation in one media type. `about` is its case.json."""

    folder: Path
    media: str
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}[{self.media}]"

    @cached_property
    def request(self) -> bytes:
        """The body, as its file has it; in XML, what request.json says where there is no request.xml."""
        if self._has(f"request.{self.media}"):
            return (self.folder / f"request.{self.media}").read_bytes()
        return said_in_xml((self.folder / "request.json").read_bytes()) if self.is_translated else b""

    @property
    def is_translated(self) -> bool:
        """Whether this is request.json, said in XML."""
        return self.media == "xml" and not self._has("request.xml") and self._has("request.json")

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers, by names in lower case."""
        given = {"host": HOST, **{name.lower(): value for name, value in self.about.get("headers", {}).items()}}
        if not (self._has("request.json") or self._has("request.xml")):
            return given if self.media == "json" else {**given, "accept": MEDIA_TYPES[self.media]}
        own = {"content-type": MEDIA_TYPES[self.media]}
        return given | own if self.is_translated else own | given

    @property
    def reply(self) -> str:
        """The media type of the answer, `json` or `xml`."""
        named: str = self.about.get("reply", self.media)
        return named

    @property
    def expected(self) -> tuple[str, bytes]:
        """The body that is expected, and its media type: in the answer's own, where there is such a file."""
        media = self.reply if self._has(f"response.{self.reply}") else next(iter(MEDIA_TYPES.keys() - {self.reply}))
        return media, (self.folder / f"response.{media}").read_bytes()

    @property
    def response(self) -> bytes:
        return self.expected[1]

    @property
    def known_gap(self) -> str:
        """Why this case is expected to fail, as the file `xfail` says; "" where it is not."""
        return (self.folder / "xfail").read_text(errors="replace").strip() if self._has("xfail") else ""

    @property
    def needs(self) -> str:
        """What a server must begin with that no request can bring about; "" where any server will do."""
        told = [name for name in ("database", "settings") if name in self.about]
        return " and ".join([file for file in ("before.json", "jobs.json") if self._has(file)] + told)

    def value(self, file: str, default: Any = None) -> Any:
        path = self.folder / file
        return json.loads(path.read_bytes()) if path.exists() else default

    @property
    def after(self) -> Any:
        """The profiles that are expected to be left, or a mask."""
        return self.value("after.json", self.value("before.json", []))

    def _has(self, file: str) -> bool:
        return (self.folder / file).exists()


def folders_in(path: Path) -> list[Path]:
    """Every folder at or below a path that holds a case.json, in order of name."""
    return sorted(file.parent for file in path.rglob("case.json"))


def read(folder: Path, media: Sequence[str] = tuple(MEDIA_TYPES)) -> list[Case]:
    """The conversations of a folder in these media types. Raises `IllFormed`."""
    about = _json(folder / "case.json")
    if reason := unsayable(about):
        raise IllFormed(folder / "case.json", reason)
    _check_files(folder)
    present = [name for name in MEDIA_TYPES if (folder / f"request.{name}").exists()]
    spoken = [about["media"]] if "media" in about else _spoken(about, present)
    return [Case(folder, name, about) for name in spoken if name in media]


def unsayable(about: Any) -> str:
    """Why this is no case.json, or ""."""
    return _listed(_about().faults(about))


def untranslatable(case: Case) -> str:
    """Why request.json cannot be said in XML, or ""."""
    try:
        _ = case.is_translated and case.request
    except ValueError as reason:
        return f"request.json cannot be said in XML too: {reason}"
    return ""


def said_in_xml(body: bytes) -> bytes:
    """A JSON body in XML. Raises `ValueError` where XML has no words for it, such as for null."""
    try:
        tree = json_codec.decode(body, bounds=BOUNDS)
    except Refusal as refusal:
        raise ValueError(refusal.faults[0].text) from None
    if (null := _null_in(tree)) is not None:
        raise ValueError(f"{null or 'the body'} is null")
    said = xml_codec.encode(tree)
    lost = next(differences(Meaning(tree, True), meaning("xml", said), "request"), None)
    if lost:
        raise ValueError(f"{lost.pointer or 'the body'} holds what XML cannot carry")
    return said


def _spoken(about: Mapping[str, Any], present: list[str]) -> list[str]:
    """In which media types a case is held that names none.

    XML has no types, so that request.xml alone is not said in JSON. Without a body, Accept alone asks for a media type:
    a case that sets its own is held once.
    """
    if present == ["xml"]:
        return ["xml"]
    asks = "reply" in about or "accept" in (name.lower() for name in about.get("headers", {}))
    return ["json"] if not present and asks else list(MEDIA_TYPES)


def _check_files(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".xml") and file.name not in FILES:
            raise IllFormed(file, f"no file of a case is called so; there are {', '.join(sorted(FILES))}, xfail")
        if file.name in FILES and not file.is_file():
            raise IllFormed(file, "it is no file")
    for name in ("before", "after", "jobs"):
        if (file := folder / f"{name}.json").exists():
            _check_rows(file, _json(file))
    found = [file for media in MEDIA_TYPES if (file := folder / f"response.{media}").exists()]
    if not found:
        raise IllFormed(folder / "response.json", "it is missing; an empty one says that the answer has no body")
    for file in found:
        _check_response(file)


def _check_rows(file: Path, rows: Any) -> None:
    _check_masks(file, rows)
    if matchers.is_mask(rows) and file.name == "after.json":
        return
    judged = {"before.json": _profiles, "jobs.json": _jobs, "after.json": _profiles_after}[file.name]()
    if faults := judged.faults(rows):
        raise IllFormed(file, _listed(faults))
    ids = [row["id"] for row in rows if "id" in row]
    if twice := next((id for id in ids if ids.count(id) > 1), None):
        raise IllFormed(file, f"two have the id {twice}")


def _check_response(file: Path) -> None:
    try:
        expected = meaning(file.suffix.removeprefix("."), file.read_bytes())
    except ValueError as reason:
        raise IllFormed(file, str(reason)) from None
    _check_masks(file, expected.tree)


def _check_masks(file: Path, expected: Any) -> None:
    if found := list(matchers.faults(expected)):
        raise IllFormed(file, "; ".join(f"{pointer} {reason}" for pointer, reason in found))


def _json(file: Path) -> Any:
    try:
        found = meaning("json", file.read_bytes()).tree
    except OSError as reason:
        raise IllFormed(file, str(reason.strerror)) from None
    except ValueError as reason:
        raise IllFormed(file, f"it is not JSON: {reason}") from None
    if found is ABSENT:
        raise IllFormed(file, "it is empty")
    return found


def _listed(faults: Iterable[Fault]) -> str:
    return "; ".join(f"{fault.pointer} {_reason(fault)}".strip() for fault in faults)


def _reason(fault: Fault) -> str:
    return "there is no such member" if fault.code == "unknown_field" else fault.text


def _null_in(tree: Any, at: str = "") -> str | None:
    """Where a null stands."""
    if isinstance(tree, dict | list):
        members = tree.items() if isinstance(tree, dict) else enumerate(tree)
        found = (_null_in(member, at + join_pointer(name)) for name, member in members)
        return next((place for place in found if place is not None), None)
    return at if tree is None else None


@cache
def _about() -> Validator:
    return Validator(load_schema("case"), {})


@cache
def _profiles() -> Validator:
    names = {PROFILE: "profile", SUBSCRIPTION: "subscription", COMMAND: "command"}
    return Validator(_rows({"$ref": PROFILE}), {uri: load_schema(name) for uri, name in names.items()})


@cache
def _profiles_after() -> Validator:
    return Validator(_rows({"type": "object"}), {})  # masks may stand in it


@cache
def _jobs() -> Validator:
    lists = {name: {"type": "array"} for name in ("profiles", "failures")}
    return Validator({"type": "array", "items": {"type": "object", "properties": lists, "required": list(lists)}}, {})


def _rows(document: Mapping[str, Any]) -> dict[str, Any]:
    members = {"id": {"type": "string"}, "document": document}
    row = {"type": "object", "properties": members, "required": ["id", "document"], "additionalProperties": False}
    return {"type": "array", "items": row}
