"""Attacks on bodies and values, one row each: what is sent, and the status and words of the answer.

Read by the tests, which send each once, and by `bench/attacks.py`, which measures what each costs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.hostile.server import TOKEN, Request

JSON, XML = "application/json", "application/xml"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Attack:
    """`reply_text` is a part of the reply; `make` returns the body: some attacks need a new one each time."""

    name: str
    status: int
    reply_text: str
    make: Callable[[int], bytes]
    media_type: str = JSON
    call: str = "profiles/import"

    def request(self, number: int = 0) -> Request:
        headers = {"content-type": self.media_type, "accept": XML if "xml" in self.media_type else JSON}
        return Request("POST", f"/api/v1.1/{self.call}", headers, self.make(number))


def _json(members: bytes) -> bytes:
    return b'{"token":"%s","db_id":1,"email":"a@example.com",%s}' % (TOKEN.encode(), members)


def _xml(elements: bytes, prolog: bytes = b"") -> bytes:
    head = b"<xml><token>%s</token><db_id>1</db_id><email>a@example.com</email>" % TOKEN.encode()
    return prolog + head + b"<data>" + elements + b"</data></xml>"


def _data(value: bytes) -> Callable[[int], bytes]:
    return lambda _number: _json(b'"data":' + value)


def _elements(elements: bytes, prolog: bytes = b"") -> Callable[[int], bytes]:
    return lambda _number: _xml(elements, prolog)


def _new_names(number: int) -> bytes:
    return _xml(b"".join(b"<n%d_%d_%s/>" % (number, index, b"n" * 80) for index in range(9_000)))


def _new_blanks(number: int) -> bytes:
    blanks = (f"{number * 10_000 + index:059b}".replace("0", " ").replace("1", "\t") for index in range(9_000))
    return _xml(b"".join(b"<a>%s</a>" % blank.encode() for blank in blanks))


def _colliding() -> bytes:
    """Integers that fall into one place of a hash table of any size that is a power of two, up to 2**40."""
    return b",".join(b"%d" % (index << 40) for index in range(1, 9_000))


LAUGHS = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
INCLUDE = b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'
LOCATION = b'<a xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="http://127.0.0.1/a"/>'
ENTITY = b'<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
ATTRIBUTES = b"".join(b' b%d=""' % number for number in range(90_000))
MEMBERS = b",".join(b'"%d":0' % number for number in range(90_000))
INJECTED = b'"matching":"custom","field_name":"a\') OR 1=1 --","field_value":"x","data":{}'


def _full_width_id(_number: int) -> bytes:
    return _xml(b"").replace(b"<db_id>1<", "<db_id>\uff11<".encode())


def _many_segments(_number: int) -> bytes:
    return _json(b'"data":{},"add_to_segments":[%s]' % _colliding())


def _many_phones(number: int) -> bytes:
    """Each time another one, so that no cache has its verdict."""
    phones = b",".join(b'"+7951%07d"' % (number * 9_000 + index) for index in range(9_000))
    return _json(b'"data":{"phones":[%s]}' % phones)


XML_ATTACKS = (
    Attack("a-doctype", 400, "DOCTYPE", _elements(b"", b"<!DOCTYPE xml>"), XML),
    Attack("a-billion-laughs", 400, "DOCTYPE", _elements(b"&e9;", b'<!DOCTYPE x [<!ENTITY e0 "ha">%s]>' % LAUGHS), XML),
    Attack("an-external-entity", 400, "DOCTYPE", _elements(b"<a>&e;</a>", ENTITY), XML),
    Attack("an-include", 400, "namespace", _elements(INCLUDE), XML),
    Attack("a-schema-location", 200, "Successful operation", _elements(LOCATION), XML),
    Attack("a-comment-in-a-value", 400, "comments", _elements(b"<a>admin<!-- -->@example.com</a>"), XML),
    Attack("an-instruction-in-a-value", 400, "comments", _elements(b"<a>admin<?a?>@example.com</a>"), XML),
    Attack("utf-7", 415, "charset", lambda _number: b"+ADw-xml+AD4-", f"{XML}; charset=utf-7"),
    Attack("utf-7-declared", 415, "charset", _elements(b"", b'<?xml version="1.0" encoding="utf-7"?>'), XML),
    Attack("deep-elements", 400, "deeper", _elements(b"<a>" * 5_000), XML),
    Attack("many-elements", 400, "more than 10000", _elements(b"<a/>" * 250_000), XML),
    Attack("many-attributes", 400, "", _elements(b"<a%s/>" % ATTRIBUTES), XML),
    Attack("a-long-name", 400, "", _elements(b"<%s/>" % (b"n" * 40_000)), XML),
    Attack("new-names", 200, "", _new_names, XML),
    Attack("new-blanks", 200, "", _new_blanks, XML),
)
JSON_ATTACKS = (
    Attack("a-duplicate-member", 400, "uplicate", _data(b'{"a":1,"a":2}')),
    Attack("not-a-number", 400, "", _data(b'{"a":NaN}')),
    Attack("infinity", 400, "", _data(b'{"a":-Infinity}')),
    Attack("a-lone-surrogate", 400, "hex escape", _data(rb'{"a":"\ud800"}')),
    Attack("u-0000", 400, "U+0000", _data(rb'{"a":"\u0000"}')),
    Attack("a-long-integer", 400, "64 bits", _data(b'{"a":9223372036854775808}')),
    Attack("a-million-digits", 400, "", _data(b'{"a":%s}' % (b"9" * 1_000_000))),
    Attack("a-large-number", 400, "64-bit float", _data(b'{"a":1e400}')),
    Attack("a-number-of-many-digits", 400, "64-bit float", _data(b'{"a":1.00000000000000000001}')),
    Attack("a-float-for-an-integer", 400, "maximum", _data(b'{"_bdate":1e300}')),
    Attack("a-boolean-for-an-integer", 400, "not of type", _data(b'{"_bdate":true}')),
    Attack("an-empty-text-for-an-object", 400, "must be an object", _data(b'""')),
    Attack("deep-lists", 400, "deeper", _data(b"[" * 500_000)),
    Attack("many-members", 400, "more than 10000", _data(b"{%s}" % MEMBERS)),
)
VALUE_ATTACKS = (
    Attack("colliding-integers", 200, "", _data(b'{"a":{"action":"add","value":[%s]}}' % _colliding())),
    Attack("many-segments", 400, "more than 1000", _many_segments),
    Attack("many-phones", 400, "more than 1000", _many_phones),
    Attack(
        "many-subscriptions-that-are-none", 400, "more than 1000", _data(b'{"subscriptions":[%s[]]}' % (b"[]," * 9_800))
    ),
    Attack("many-wrong-subscriptions", 400, "channel", _data(b'{"subscriptions":[%s{}]}' % (b'{"a":1},' * 998))),
    Attack("digits-of-another-script", 400, "integer", _full_width_id, XML),
    Attack("a-look-alike-address", 400, "e-mail", _data('{"email":"\u212aelvin@example.com"}'.encode())),
    Attack("a-full-width-domain", 400, "e-mail", _data('{"email":"a@\uff45xample.com"}'.encode())),
    Attack("a-phone-with-an-extension", 400, "phone", _data(b'{"phones":["+79511059000 ext 5"]}')),
    Attack("a-phone-in-words", 400, "phone", _data(b'{"phones":["+1800FLOWERS"]}')),
    Attack("a-function-on-a-field-of-the-gateway", 400, "gateway alone", _data(b'{"id":{"action":"set","value":"x"}}')),
    Attack("sql-in-a-name", 400, "identifier", lambda _number: _json(INJECTED)),
    Attack("a-megabyte-of-address", 400, "e-mail", _data(b'{"email":"%s@example.com"}' % (b"a" * 1_000_000))),
    Attack("a-body-too-large", 413, "at most", _data(b'"%s"' % (b"a" * MEGABYTE))),
)
ATTACKS = (*XML_ATTACKS, *JSON_ATTACKS, *VALUE_ATTACKS)
