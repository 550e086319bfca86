"""Writes a refused request as a case folder: the request, and the reply that refused it."""

import json
from pathlib import Path
from typing import Any

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.refused_requests import RefusedRequest
from gateway.dialects.protocol import Call, Dialect
from gateway.service.exchange import Exchange
from gateway.service.http_messages import Message, Response
from gateway.testkit.case_validation import MEDIA_TYPES
from gateway.testkit.pseudonyms import FIRST_TOKEN as TOKEN

DESCRIPTION = "case.json"
"""The file that is written last: a folder without it is not complete."""


def is_case(folder: Path) -> bool:
    """Return whether a folder is a complete case."""
    return (folder / DESCRIPTION).exists()


def write_case(request: RefusedRequest, dialect: Dialect, call: Call, folder: Path) -> bool:
    """Write a refused request as the folder of a case. Return false, and write nothing, if its body has no such form.

    The token of the cases is in place of its own. Raises `OSError`.
    """
    name = _media_of(request)
    if name is None:
        return False
    message = Message(call.method, request.headers, request.body, path=request.path, target=request.target)
    response = Exchange(dialect, message, call).reject(request.faults)
    reply = "xml" if "xml" in response.headers.get("content-type", "") else "json"
    folder.mkdir(parents=True, exist_ok=True)
    if request.body:
        (folder / f"request.{name}").write_bytes(request.body)
    (folder / f"response.{reply}").write_bytes(response.body)
    (folder / "after.json").write_bytes(_pretty({"$any": True}))
    (folder / DESCRIPTION).write_bytes(_pretty(_description(request, response, name, reply)))
    return True


def _media_of(request: RefusedRequest) -> str | None:
    """Return the media type of the request; None where it is another one than JSON and XML."""
    if not request.body:
        return "json"
    try:
        codec, charset = media.codec_for(request.headers.get("content-type"))
    except Refusal:
        return None
    return codec.name if charset in (None, "utf-8") else None


def _description(request: RefusedRequest, response: Response, media_name: str, reply: str) -> dict[str, Any]:
    reasons = ", ".join(dict.fromkeys(each.code for each in request.faults))
    headers = {"authorization": f"Bearer {TOKEN}", **request.headers}
    if headers.get("content-type") == MEDIA_TYPES[media_name]:
        del headers["content-type"]
    method, _, _ = request.call.partition(" ")
    description = {
        "description": f"Refused with {reasons}.",
        "method": method,
        "path": request.target,
        "headers": headers,
        "media": media_name,
        "status": response.status,
    }
    return description if reply == media_name else {**description, "reply": reply}


def _pretty(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
