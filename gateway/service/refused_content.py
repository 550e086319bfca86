"""What is kept of the content of a refused request: everything but its credential, in the form in which it came."""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.dialects.protocol import Call, Dialect, Request
from gateway.media import Bounds
from gateway.media.form import URL_ENCODED, decode_form, is_form
from gateway.service.http_messages import Message
from gateway.service.idempotency import KEY_HEADER

HEADERS = ("content-type", "accept", KEY_HEADER)
"""The headers that are kept, besides those of the dialect."""

MIN_SECRET_LENGTH = 16
"""Characters from which on a credential is removed wherever it is: a shorter one may be a part of other texts."""


class RefusedContent(Struct, frozen=True):
    """The content of a request without its credential. `tree` is None where the body cannot be decoded."""

    target: str
    headers: Mapping[str, str]
    body: bytes
    tree: Tree


def content_of(message: Message, call: Call, dialect: Dialect, bounds: Bounds) -> RefusedContent | None:
    """Return the content of a request; None where a credential cannot be separated from its body."""
    names = dialect.request_names
    kept = {name: message.headers[name] for name in (*HEADERS, *names.headers) if name in message.headers}
    headers = {name: _without_parameters(value, names.credentials) for name, value in kept.items()}
    target = _without_parameters(message.target, names.credentials)
    tree = decode_body(message.body, headers, call, bounds)
    if tree is not None:
        headers, body = _readable_without_credentials(message.body, headers, call, tree, names.credentials, bounds)
    elif (emptied := _unreadable_without_credentials(message.body, names.credentials)) is not None:
        body = emptied
    else:
        return None
    secret = secret_of(dialect, message, tree)
    if len(secret) >= MIN_SECRET_LENGTH:
        target, body = target.replace(secret, ""), body.replace(secret.encode(), b"")
    own = {name: value for name, value in tree.items() if name not in names.credentials} if _is_object(tree) else tree
    return RefusedContent(target, headers, body, own)


def secret_of(dialect: Dialect, message: Message, tree: Tree = None) -> str:
    """Return the secret of a request with this tree, or with an unreadable body; "" where there is none."""
    request = Request(tree or {}, message.query, message.headers, message.path, message.target, message.base)
    with suppress(Refusal):
        return dialect.credential(request).token or ""
    return ""


def decode_body(body: bytes, headers: Mapping[str, str], call: Call, bounds: Bounds) -> Tree:
    """Return the tree of a body, {} without one, None where it cannot be decoded."""
    content_type, numbers = headers.get("content-type"), list[UnrepresentableNumber]()
    if not body:
        return {}
    with suppress(Refusal):
        if call.accepts_forms and is_form(content_type):
            return decode_form(body, content_type or "", bounds)
        codec, charset = media.codec_for(content_type)
        return codec.decode(body, charset, bounds, numbers)
    return None


def encode_body(tree: Tree, headers: Mapping[str, str], call: Call) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a tree, in the media type that the headers name. Raises `ValueError`."""
    content_type = headers.get("content-type", "")
    if call.accepts_forms and is_form(content_type):
        return {**headers, "content-type": URL_ENCODED}, urlencode(tree, doseq=True).encode()
    codec, charset = media.codec_for(content_type)
    own = content_type if charset is None else content_type.partition(";")[0].strip()
    return {**headers, "content-type": own}, codec.encode_exactly(tree)


def _readable_without_credentials(
    body: bytes, headers: dict[str, str], call: Call, tree: Tree, names: Collection[str], bounds: Bounds
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body. It keeps its form, unless its credential is written in an unusual way."""
    if not _is_object(tree) or tree.keys().isdisjoint(names):
        return headers, body
    own = {name: value for name, value in tree.items() if name not in names}
    emptied = _emptied(body, names)
    again = decode_body(emptied, headers, call, bounds)
    if _is_object(again) and again == {**own, **{name: "" for name in names if name in tree}}:
        return headers, emptied
    return encode_body(own, headers, call)


def _unreadable_without_credentials(body: bytes, names: Collection[str]) -> bytes | None:
    plain = body.replace(b"\0", b"")
    named = any(name.encode() in plain for name in names)
    if named and (plain != body or b"CDATA" in body or not _is_utf8(body)):
        return None
    return _emptied(body, names)


def _emptied(body: bytes, names: Collection[str]) -> bytes:
    """Return a body with an empty text in place of each credential, in JSON, XML, a form, or what resembles them."""
    for name in map(re.escape, (each.encode() for each in names)):
        body = re.sub(rb'("%s"\s*:\s*")(?:[^"\\]|\\.)*+' % name, rb"\1", body)
        body = re.sub(rb"(<%s\b[^<>]*+>)[^<]*+" % name, rb"\1", body)
        body = re.sub(rb"""(\b%s["']?\s*[:=]\s*["']?)[^"'<>&,\s}]++""" % name, rb"\1", body)
    return body


def _without_parameters(text: str, names: Collection[str]) -> str:
    """Return a target, or a header with an address, without some parameters of the query."""
    path, mark, query = text.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    own = [(name, value) for name, value in pairs if name not in names]
    if len(own) == len(pairs):
        return text
    return f"{path}{mark}{urlencode(own)}" if own else path


def _is_object(tree: Tree) -> bool:
    return isinstance(tree, dict)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
