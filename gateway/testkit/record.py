"""Writes each forwarded conversation as a case folder, with pseudonyms for personal values and matchers for ids.

A conversation with a malformed body is not written, since personal values in it cannot be found.
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
from gateway.testkit.case_validation import MEDIA_TYPES, invalid_description_reason
from gateway.testkit.comparison import ABSENT, ParsedBody, parse_body
from gateway.testkit.generated_values import find_ids, replace_generated_values
from gateway.testkit.matchers import escape
from gateway.testkit.proxy import ForwardedRequest, ForwardedResponse
from gateway.testkit.pseudonyms import Pseudonyms

VERBS = {
    "GET": "gets", "POST": "posts", "PUT": "puts", "PATCH": "patches",
    "DELETE": "deletes", "HEAD": "asks-about", "OPTIONS": "asks-options-of",
}  # fmt: skip
MAX_NAME_LENGTH = 100

CHARSET = re.compile(r';\s*charset\s*=\s*("[^"]*"|[^;\s]*)', re.IGNORECASE)
"""The parameter of a Content-Type."""

TRANSPORT_HEADERS = frozenset(
    ("host", "content-length", "content-encoding", "user-agent", "accept-encoding", "date", "expect", "cookie", "via",
     "traceparent", "tracestate", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
     "x-forwarded-prefix", "x-forwarded-port", "x-real-ip")
)  # fmt: skip
"""Headers of a request that do not affect its meaning. They are not recorded."""


class NotRecordable(ValueError):
    """A body that is neither JSON nor XML, or a conversation that a case cannot represent."""


class Recorder:
    """Writes conversations into a folder. Existing cases are not changed, and none is written twice."""

    def __init__(self, folder: Path, authority: str, pseudonyms: Pseudonyms, dialects: list[Dialect]) -> None:
        self._folder = folder
        self._authority = authority
        self._pseudonyms = pseudonyms
        self._templates = [(call.method, _template(call.path)) for dialect in dialects for call in dialect.calls]
        self._lock = threading.Lock()

    def record(self, sent: ForwardedRequest, got: ForwardedResponse) -> Path | None:
        """Write a conversation and return its folder; None if an equal case exists.

        Raises `NotRecordable`, and `OSError` if the folder cannot be written.
        """
        with self._lock:
            return self._write(_folder_name(*self._name(sent), got.status), dict(self._files(sent, got)))

    def _files(self, sent: ForwardedRequest, got: ForwardedResponse) -> Iterator[tuple[str, bytes]]:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in sent.headers}
        request_body = _parse("request", headers.get("content-type", ""), sent)
        response_body = _parse("answer", got.header("content-type"), got)
        request = self._pseudonyms.tree(request_body.parsed.tree) if sent.body else ABSENT
        _, target = self._name(sent)
        recorded = {
            name: self._pseudonyms.header(name, value) for name, value in headers.items() if _is_recorded(name, value)
        }
        kept = find_ids(f"{target} {json.dumps(request, default=str)}")
        response = escape(self._pseudonyms.tree(response_body.parsed.tree))
        # The files are in UTF-8.
        if (content_type := CHARSET.sub("", recorded.get("content-type", ""))) != MEDIA_TYPES[request_body.media]:
            recorded |= {"content-type": content_type} if content_type else {}
        else:
            del recorded["content-type"]
        about = {
            "description": f"Recorded: {sent.method} {target.partition('?')[0]}, answered {got.status}.",
            "method": sent.method,
            "path": target,
            **({"headers": recorded} if recorded else {}),
            "media": request_body.media,
            "status": got.status,
            **({"reply": response_body.media} if response_body.media != request_body.media else {}),
        }
        if reason := invalid_description_reason(about):
            raise NotRecordable(f"no case can say this: {reason}")
        yield "case.json", _pretty(about)
        if request is not ABSENT:
            yield f"request.{request_body.media}", _encode(request_body.media, request)
        yield (
            f"response.{response_body.media}",
            _encode(response_body.media, replace_generated_values(response, kept, self._authority)),
        )
        yield "after.json", _pretty({"$any": True})

    def _name(self, sent: ForwardedRequest) -> tuple[str, str]:
        """Return the method, and the target with pseudonyms."""
        target = sent.target.decode("latin-1")
        path = target.partition("?")[0]
        found = (pattern.fullmatch(path) for method, pattern in self._templates if method == sent.method)
        named = next((match.groupdict() for match in found if match), {})
        return sent.method, self._pseudonyms.target(target, named)

    def _write(self, name: str, files: Mapping[str, bytes]) -> Path | None:
        for folder in _numbered(self._folder / name):
            if not folder.exists():
                return _create_folder(files, folder)
            if {file.name: file.read_bytes() for file in folder.iterdir()} == files:
                return None
        return None


class _Body:
    """The media type and content of a body."""

    def __init__(self, media: str, parsed: ParsedBody) -> None:
        self.media = media
        self.parsed = parsed


def _parse(which: str, content_type: str, message: ForwardedRequest | ForwardedResponse) -> _Body:
    """Parse a body. Raises `NotRecordable`."""
    try:
        body = message.plain
        if not body:
            return _Body("json", parse_body("json", body))
        codec, charset = media.codec_for(content_type)
        return _Body(codec.name, parse_body(codec.name, body, charset))
    except Refusal:
        raise NotRecordable(f"the {which} is neither JSON nor XML") from None
    except (ValueError, httpx.DecodingError):
        raise NotRecordable(f"the {which} says that it is JSON or XML, and cannot be read as that") from None


def _is_recorded(name: str, value: str) -> bool:
    return name not in TRANSPORT_HEADERS and (name, value) != ("accept", "*/*")


def _template(path: str) -> re.Pattern[str]:
    """Return the path of a call as a pattern with a group for each parameter; a final slash is optional."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?")


def _folder_name(method: str, target: str, status: int) -> str:
    """Return the name of a folder: the method as a verb, the path, and the status of an error."""
    words = re.findall(r"\w+", unquote(target.partition("?")[0]), re.ASCII)
    name = "-".join([VERBS.get(method, method.lower()), *words]).lower()[:MAX_NAME_LENGTH]
    return name if status < 400 else f"{name}-and-is-answered-{status}"


def _numbered(folder: Path) -> Iterator[Path]:
    """Yield the folder, then the folder with -2, -3 and so on."""
    yield folder
    number = 2
    while True:
        yield folder.with_name(f"{folder.name}-{number}")
        number += 1


def _create_folder(files: Mapping[str, bytes], folder: Path) -> Path:
    """Create a folder with all its files, or not at all."""
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".recording-"))
    try:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        temporary.chmod(0o755)
        return temporary.rename(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _encode(name: str, tree: Any) -> bytes:
    if tree is ABSENT:
        return b""
    return xml.encode(tree) + b"\n" if name == "xml" else _pretty(tree)


def _pretty(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
