"""Writes each conversation that passes as a case folder: personal values replaced, ids and times as masks.

A conversation whose bodies cannot be read is not written, for nobody could say what is personal in it.
"""

import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from gateway import media
from gateway.core.faults import Refusal
from gateway.dialects.protocol import Dialect
from gateway.media import xml
from gateway.testkit.case import MEDIA_TYPES, unsayable
from gateway.testkit.comparison import ABSENT, Meaning, meaning
from gateway.testkit.generated_values import ids_in, masked
from gateway.testkit.proxy import Got, Sent
from gateway.testkit.pseudonyms import StandIns

VERBS = {
    "GET": "gets", "POST": "posts", "PUT": "puts", "PATCH": "patches",
    "DELETE": "deletes", "HEAD": "asks-about", "OPTIONS": "asks-options-of",
}  # fmt: skip
LONGEST_NAME = 100

NOT_TOLD = frozenset(
    ("host", "content-length", "content-encoding", "user-agent", "accept-encoding", "date", "expect", "cookie", "via",
     "traceparent", "tracestate", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
)  # fmt: skip
"""Headers of a request that say nothing about what is asked."""


class Unreadable(ValueError):
    """A body that is neither JSON nor XML, so that what is personal in it cannot be found; or what no case can say."""


class Recorder:
    """Writes conversations into a folder. What was written before is never touched, and nothing is written twice."""

    def __init__(self, folder: Path, authority: str, stand_ins: StandIns, spoken: list[Dialect]) -> None:
        self._folder = folder
        self._authority = authority
        self._stand_ins = stand_ins
        self._templates = [(call.method, _template(call.path)) for dialect in spoken for call in dialect.calls]
        self._turn = threading.Lock()

    def record(self, sent: Sent, got: Got) -> Path | None:
        """The folder that a conversation was written to; None where it stands in one already.

        Raises `Unreadable`; `OSError` where the folder cannot be written.
        """
        with self._turn:
            return self._written(_sentence(*self._name(sent), got.status), dict(self._files(sent, got)))

    def _files(self, sent: Sent, got: Got) -> Iterator[tuple[str, bytes]]:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in sent.headers}
        asked = _read("request", headers.get("content-type", ""), sent)
        answered = _read("answer", got.header("content-type"), got)
        request = self._stand_ins.tree(asked.meaning.tree) if sent.body else ABSENT
        _, target = self._name(sent)
        shown = {name: self._stand_ins.header(name, value) for name, value in headers.items() if _is_told(name, value)}
        kept = ids_in(f"{target} {json.dumps(request, default=str)}")
        response = self._stand_ins.tree(answered.meaning.tree)
        if shown.get("content-type") == MEDIA_TYPES[asked.media]:
            del shown["content-type"]
        about = {
            "description": f"Recorded: {sent.method} {target.partition('?')[0]}, answered {got.status}.",
            "method": sent.method,
            "path": target,
            **({"headers": shown} if shown else {}),
            "media": asked.media,
            "status": got.status,
            **({"reply": answered.media} if answered.media != asked.media else {}),
        }
        if reason := unsayable(about):
            raise Unreadable(f"no case can say this: {reason}")
        yield "case.json", _pretty(about)
        if request is not ABSENT:
            yield f"request.{asked.media}", _spelled(asked.media, request)
        yield f"response.{answered.media}", _spelled(answered.media, masked(response, kept, self._authority))
        yield "after.json", _pretty({"$any": True})

    def _name(self, sent: Sent) -> tuple[str, str]:
        """The method, and the target without personal values."""
        target = sent.target.decode("latin-1")
        path = target.partition("?")[0]
        found = (pattern.fullmatch(path) for method, pattern in self._templates if method == sent.method)
        named = next((match.groupdict() for match in found if match), {})
        return sent.method, self._stand_ins.target(target, named)

    def _written(self, name: str, files: Mapping[str, bytes]) -> Path | None:
        for folder in _numbered(self._folder / name):
            if not folder.exists():
                return _moved(files, folder)
            if {file.name: file.read_bytes() for file in folder.iterdir()} == files:
                return None
        return None


class _Body:
    """A body that was read."""

    def __init__(self, media: str, meaning: Meaning) -> None:
        self.media = media
        self.meaning = meaning


def _read(which: str, content_type: str, message: Sent | Got) -> _Body:
    """The media type and meaning of a body. Raises `Unreadable`."""
    try:
        body = message.plain
        name = media.codec_for(content_type)[0].name if body else "json"
        return _Body(name, meaning(name, body))
    except Refusal:
        raise Unreadable(f"the {which} is neither JSON nor XML") from None
    except (ValueError, httpx.DecodingError):
        raise Unreadable(f"the {which} says that it is JSON or XML, and cannot be read as that") from None


def _is_told(name: str, value: str) -> bool:
    return name not in NOT_TOLD and (name, value) != ("accept", "*/*")


def _template(path: str) -> re.Pattern[str]:
    """A call's path as a pattern that finds the values in it, with and without a slash at its end."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?")


def _sentence(method: str, target: str, status: int) -> str:
    """A folder's name: what is done, to what, and what comes of it where that is no success."""
    words = re.findall(r"\w+", unquote(target.partition("?")[0]), re.ASCII)
    said = "-".join([VERBS.get(method, method.lower()), *words]).lower()[:LONGEST_NAME]
    return said if status < 400 else f"{said}-and-is-answered-{status}"


def _numbered(folder: Path) -> Iterator[Path]:
    yield folder
    number = 2
    while True:
        yield folder.with_name(f"{folder.name}-{number}")
        number += 1


def _moved(files: Mapping[str, bytes], folder: Path) -> Path:
    """The folder, which is there with all its files or not at all."""
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".recording-"))
    try:
        for name, content in files.items():
            (made / name).write_bytes(content)
        made.chmod(0o755)
        return made.rename(folder)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _spelled(name: str, tree: Any) -> bytes:
    if tree is ABSENT:
        return b""
    return xml.encode(tree) + b"\n" if name == "xml" else _pretty(tree)


def _pretty(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
