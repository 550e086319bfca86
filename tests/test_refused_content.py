"""What is kept of the content of a refused request: never a credential, whatever its form is."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import load_dialects
from gateway.dialects.protocol import Call, Dialect
from gateway.media import Bounds, json, xml
from gateway.service.http_messages import Message
from gateway.service.refused_content import RefusedContent, content_of, decode_body

SECRET = "a-secret-of-many-characters"
WEAK = "1"
JSON, XML = "application/json", "application/xml"
[ALTCRAFT] = (each for each in load_dialects({}) if each.name == "altcraft")
[UPDATE] = (each for each in ALTCRAFT.calls if each.path.endswith("profiles/update"))
[QUICK] = (each for each in ALTCRAFT.calls if each.path.endswith("/profile_import"))
BOUNDS = Bounds()


def content(
    body: bytes, content_type: str, target: str = "/x", call: Call = UPDATE, dialect: Dialect = ALTCRAFT
) -> RefusedContent | None:
    headers = {"content-type": content_type, "authorization": f"Bearer {SECRET}", "cookie": SECRET}
    return content_of(Message("POST", headers, body, target=target), call, dialect, BOUNDS)


READABLE: Mapping[str, tuple[bytes, str]] = {
    "JSON": (b'{"token": "%s", "a": [1.50, null]}', JSON),
    "JSON with escapes in the name": (b'{"\\u0074oken": "%s", "a": "b"}', JSON),
    "JSON with the name elsewhere too": (b'{"token":"%s","a":{"token":"x"}}', JSON),
    "XML": (b"<xml>\n <token>%s</token><a>b</a></xml>", XML),
    "XML with CDATA": (b"<xml><token><![CDATA[%s]]></token><a>b</a></xml>", XML),
    "XML with a type": (
        b'<xml xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        b'<token xsi:type="xs:string">%s</token><a xsi:nil="true"/></xml>',
        XML,
    ),
    "XML with the name elsewhere too": (b"<xml><token>%s</token><a><token>x</token></a></xml>", XML),
}


@pytest.mark.parametrize("secret", [SECRET, WEAK])
@pytest.mark.parametrize("name", READABLE)
def test_a_readable_body_keeps_all_but_its_token(name: str, secret: str) -> None:
    body, content_type = READABLE[name]
    kept = content(body.replace(b"%s", secret.encode()), content_type)
    assert kept
    codec = json if content_type == JSON else xml
    before, after = (codec.decode(each) for each in (body, kept.body))
    assert after.pop("token", "") == ""
    assert after == {key: value for key, value in before.items() if key != "token"} == kept.tree
    assert SECRET not in repr(kept)


UNREADABLE = {
    "cut JSON": b'{"a": 1, "token": "%s',
    "JSON of JavaScript": b"{token: '%s', a: 1}",
    "JSON without quotation marks": b"{token: %s}",
    "cut XML": b"<xml><token>%s</token><a>",
    "XML of another kind": b"<xml token='%s'><a></xml>",
    "a form": b"a=b&token=%s&c=d&&=",
    "the secret alone": b"{%s}",
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("content_type", [JSON, XML, "text/plain"])
def test_an_unreadable_body_has_no_token(name: str, content_type: str) -> None:
    kept = content(UNREADABLE[name].replace(b"%s", SECRET.encode()), content_type)
    assert kept
    assert kept.tree is None
    assert SECRET not in repr(kept)


@pytest.mark.parametrize(
    "body", ["<token>%s".encode("utf-16"), b"<xml><token><![CDATA[%s]]><", b"\xff token %s", b'{"token": "\0%s']
)
def test_a_body_whose_token_cannot_be_found_is_not_kept(body: bytes) -> None:
    assert content(body.replace(b"%s", SECRET.encode()), JSON) is None


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1", "utf-8"])
def test_a_body_in_another_charset_keeps_its_content(charset: str) -> None:
    text = f'{{"token": "{SECRET}", "a": "é"}}'
    kept = content(text.encode(charset), f"{JSON}; charset={charset}")
    assert kept
    assert kept.tree == {"a": "é"}
    assert decode_body(kept.body, kept.headers, UPDATE, BOUNDS) in ({"a": "é"}, {"token": "", "a": "é"})
    assert SECRET.encode(charset) not in kept.body


def test_the_query_and_the_headers_have_no_token() -> None:
    kept = content(b"{}", JSON, f"/x?a=b%26c&token={SECRET}&d=")
    assert kept
    assert (kept.target, kept.headers) == ("/x?a=b%26c&d=", {"content-type": JSON})


def test_a_form_has_no_token() -> None:
    kept = content(f"a=b+c&token={SECRET}&d=1&d=2".encode(), "application/x-www-form-urlencoded", call=QUICK)
    assert kept
    assert kept.tree == {"a": "b c", "d": ["1", "2"]}
    form = kept.headers
    assert decode_body(kept.body, form, QUICK, BOUNDS) in (kept.tree, {**kept.tree, "token": ""})


def test_the_parts_of_a_form_have_no_token() -> None:
    parts = f'--X\r\nContent-Disposition: form-data; name="token"\r\n\r\n{SECRET}\r\n--X--\r\n'
    kept = content(parts.encode(), "multipart/form-data; boundary=X", call=QUICK)
    assert kept
    assert SECRET not in repr(kept)


@given(st.text(min_size=16, max_size=40), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_no_text_of_a_secret_survives(secret: str, others: dict[str, str]) -> None:
    try:
        body = json.encode({**others, "token": secret})
        json.decode(body)
    except Exception:  # no body that a client can send
        return
    kept = content(body, JSON)
    assert kept is not None
    assert json.decode(kept.body).get("token", "") == ""
    assert kept.tree == {name: value for name, value in others.items() if name != "token"}
