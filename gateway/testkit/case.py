"""A case: one conversation as a folder of files, and its request and expected response in one media type.

Reads files; sends nothing and compares nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gateway.testkit.case_validation import MEDIA_TYPES, InvalidCase, read_description, validate_files
from gateway.testkit.xml_translation import translate_to_xml

__all__ = ["HOST", "MEDIA_TYPES", "Case", "InvalidCase", "find_case_folders", "read_cases", "untranslatable_reason"]

HOST = "gateway.example"
"""The host of a request if the case names none."""


@dataclass(frozen=True)
class Case:
    """One conversation in one media type. `about` is its case.json."""

    folder: Path
    media: str
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The names of the folder and its parent, with the media type."""
        return f"{self.folder.parent.name}/{self.folder.name}[{self.media}]"

    @cached_property
    def request(self) -> bytes:
        """The body of the request: its file, or request.json translated to XML. Raises `ValueError`."""
        if self._has(f"request.{self.media}"):
            return (self.folder / f"request.{self.media}").read_bytes()
        return translate_to_xml((self.folder / "request.json").read_bytes()) if self.is_translated else b""

    @property
    def is_translated(self) -> bool:
        """Whether the request is request.json, translated to XML."""
        return self.media == "xml" and not self._has("request.xml") and self._has("request.json")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request; names are in lower case."""
        given = {"host": HOST, **{name.lower(): value for name, value in self.about.get("headers", {}).items()}}
        if not (self._has("request.json") or self._has("request.xml")):
            return given if self.media == "json" else {**given, "accept": MEDIA_TYPES[self.media]}
        own = {"content-type": MEDIA_TYPES[self.media]}
        return given | own if self.is_translated else own | given

    @property
    def reply(self) -> str:
        """The media type of the response, `json` or `xml`."""
        media: str = self.about.get("reply", self.media)
        return media

    @property
    def expected(self) -> tuple[str, bytes]:
        """The media type and body of the expected response: the file in the response's own media type if it exists."""
        media = self.reply if self._has(f"response.{self.reply}") else next(iter(MEDIA_TYPES.keys() - {self.reply}))
        return media, (self.folder / f"response.{media}").read_bytes()

    @property
    def response(self) -> bytes:
        """The body of the expected response."""
        return self.expected[1]

    @property
    def known_gap(self) -> str:
        """Why the case is expected to fail: the text of the file `xfail`, or ""."""
        return (self.folder / "xfail").read_text(errors="replace").strip() if self._has("xfail") else ""

    @property
    def needs(self) -> str:
        """The initial state that no request can create; "" where any server will do."""
        files = [file for file in ("before.json", "jobs.json") if self._has(file)]
        return " and ".join([*files, *(name for name in ("database", "settings") if name in self.about)])

    def value(self, file: str, default: Any = None) -> Any:
        """Return the content of a JSON file, or the default if there is none."""
        path = self.folder / file
        return json.loads(path.read_bytes()) if path.exists() else default

    @property
    def after(self) -> Any:
        """The profiles that are expected afterwards, or a matcher."""
        return self.value("after.json", self.value("before.json", []))

    def _has(self, file: str) -> bool:
        return (self.folder / file).exists()


def find_case_folders(path: Path) -> list[Path]:
    """Return every folder at or below a path that contains a case.json, sorted by name."""
    return sorted(file.parent for file in path.rglob("case.json"))


def read_cases(folder: Path, media: Sequence[str] = tuple(MEDIA_TYPES)) -> list[Case]:
    """Return the cases of a folder in these media types. Raises `InvalidCase`."""
    about = read_description(folder)
    validate_files(folder)
    present = [name for name in MEDIA_TYPES if (folder / f"request.{name}").exists()]
    supported = [about["media"]] if "media" in about else _media_of(about, present)
    return [Case(folder, name, about) for name in supported if name in media]


def untranslatable_reason(case: Case) -> str:
    """Return why request.json cannot be translated to XML, or ""."""
    try:
        _ = case.is_translated and case.request
    except ValueError as error:
        return f"request.json cannot be translated to XML: {error}"
    return ""


def _media_of(about: Mapping[str, Any], present: list[str]) -> list[str]:
    """Return the media types of a case that names none.

    request.xml alone is not translated to JSON, since XML has no types. Without a body only Accept selects a media
    type, so a case that sets Accept runs once.
    """
    if present == ["xml"]:
        return ["xml"]
    selects = "reply" in about or "accept" in (name.lower() for name in about.get("headers", {}))
    return ["json"] if not present and selects else list(MEDIA_TYPES)
