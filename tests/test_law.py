"""The law of the two media types: the same update in XML and in JSON is one canonical value, byte for byte.

The XML is spelled here by a writer of its own, which also tries the spellings that a client may choose between.
"""

import json
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.model import CommandType, Database
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Request
from gateway.schema.compiled import CompiledSchema
from gateway.schema.files import load_schema
from gateway.service.command_validation import validate_command

FIELDS = {
    "checks": {"type": "integer"},
    "score": {"type": "number"},
    "vip": {"type": "boolean"},
    "born": {"type": "string", "format": "date"},
    "colour": {"enum": ["red", "green", 3]},
    "tags": {"type": "array", "items": {"type": "string"}},
    "ranks": {"type": "array", "items": {"type": "integer"}},
    "card": {"type": "object", "properties": {"level": {"type": "integer"}, "name": {"type": "string"}}},
    "cars": {
        "type": "array",
        "items": {"type": "object", "properties": {"vin": {"type": "string"}, "year": {"type": "integer"}}},
    },
}
DATABASE = Database(1, "law", fields={"type": "object", "properties": FIELDS})
(ALTCRAFT,) = (dialect for dialect in load_dialects({}) if dialect.name == "altcraft")
FORM = CompiledSchema(DATABASE, load_schema("altcraft"))
IMPORT = next(call for call in ALTCRAFT.calls if call.path.endswith("profiles/import"))

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12
) | st.sampled_from(
    ["+79511059000", "0123000", "0x1F", "1e5", "123456789012345678901", " ", "\n a \t", "true", "null", "<&>]]>", "é"]
)
names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True).filter(
    lambda name: name not in (*FIELDS, "id", "action", "email")
)
integers = st.integers(-(2**63), 2**63 - 1)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False)
filled = texts.filter(bool)
dates = st.dates().map(str)


def functions(value: st.SearchStrategy[Any], *actions: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"action": st.sampled_from(actions), "value": value})


plain = st.recursive(
    texts | st.none() | st.booleans() | numbers,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=6,
)
declared = {
    "checks": integers | st.none() | functions(integers, "set", "incr"),
    "score": numbers | st.none() | functions(numbers, "set", "incr"),
    "vip": st.booleans() | st.none() | functions(st.booleans(), "set"),
    "born": dates | st.none(),
    "colour": st.sampled_from(["red", "green", 3, None]),
    "tags": st.lists(texts, max_size=4) | functions(st.lists(texts, min_size=1, max_size=3), "add", "delete", "set"),
    "ranks": st.lists(integers, max_size=4) | functions(st.lists(integers, min_size=1, max_size=3), "add", "delete"),
    "card": st.fixed_dictionaries({"level": integers}, optional={"name": texts})
    | st.fixed_dictionaries({"action": st.just("upsert"), "submatch": st.just("level"), "value": integers}),
    "cars": st.lists(st.fixed_dictionaries({"vin": filled, "year": integers}), min_size=1, max_size=3),
    "_fname": texts | st.none() | st.just({"action": "unset"}),
    "_bdate": dates | integers | st.none(),
    "_sex": st.sampled_from(["male", "female", 0, 1, 2, None]),
    "phones": st.lists(st.sampled_from(["+79511059000", "+79000000000", "+12015550123"]), max_size=2),
}
subscriptions = st.fixed_dictionaries(
    {"channel": st.just("email"), "email": st.just("a@example.com"), "resource_id": st.integers(0, 99)},
    optional={
        "status": st.sampled_from(["subscribed", "unsubscribed", 0, 6, -1]),
        "priority": st.integers(0, 9),
        "cats": st.lists(filled, min_size=1, max_size=3),
        "custom_fields": st.builds(
            lambda own, system: {**own, **system},
            st.dictionaries(names, plain, min_size=1, max_size=2),
            st.fixed_dictionaries({}, optional={"_ad_track": st.booleans(), "_os_ver": texts}),
        ),
    },
)
data = st.builds(
    lambda fields, others, rows: {**fields, **others, **({"subscriptions": rows} if rows else {})},
    st.fixed_dictionaries({}, optional=declared),
    st.dictionaries(names, plain, max_size=3),
    st.lists(subscriptions, max_size=2),
)


DECLARED = {*declared, "action", "submatch", "_ad_track", "_os_ver"}
NAMESPACES = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"'


def is_declared(path: tuple[str, ...]) -> bool:
    """Whether the place of a leaf has a declared type. `path` starts at the root of the body."""
    match path:
        case ["data", "subscriptions", "custom_fields", name]:
            return name in DECLARED
        case ["data", "subscriptions", "custom_fields", *_]:
            return False
        case ["data", "subscriptions", *_] | [_] | ["data"]:
            return True
        case ["data", name, *_]:
            return name in declared
    return False


class Writer:
    """Spells a tree as a client might: wherever XML leaves a choice, `choose` makes it."""

    def __init__(self, choose: Callable[[list[Any]], Any]) -> None:
        self._choose = choose

    def members(self, tree: dict[str, Any], path: tuple[str, ...]) -> str:
        return "".join(self.member(name, value, (*path, name)) for name, value in tree.items())

    def member(self, name: str, value: Any, path: tuple[str, ...]) -> str:
        if not isinstance(value, list):
            return self.element(name, value, path)
        if not value:
            return f"<{name} array='true'/>"
        return self.run(name, value, path)

    def run(self, name: str, values: list[Any], path: tuple[str, ...]) -> str:
        marks = [self._choose(["", " array='true'", ' array="true"']) for _ in values]
        known_as_list = path[-1] in ("tags", "ranks", "cars", "phones", "cats", "subscriptions") or path[-2:] in LISTS
        if values == [""]:
            return f"<{name}><_/></{name}>"
        is_blank = isinstance(values[0], str) and not values[0].strip(" \t\r\n")  # alone, it is an empty element
        if len(values) == 1 and (not known_as_list or isinstance(values[0], list) or is_blank):
            marks = [" array='true'"]
        return "".join(self.element(name, value, path, mark) for mark, value in zip(marks, values, strict=True))

    def element(self, name: str, value: Any, path: tuple[str, ...], mark: str = "") -> str:
        return f"<{name}{mark}{self.type(value, path)}>{self.content(value, path)}</{name}>"

    def type(self, value: Any, path: tuple[str, ...]) -> str:
        """The attribute of a leaf that is null, or that has no declared type."""
        match value:
            case None:
                needs_it = not is_declared(path) or path[-1] == "_fname"
                return self._choose([' xsi:nil="true"', ' xsi:nil="1"', *([] if needs_it else [""])])
            case dict() | list():
                return ""
            case _ if is_declared(path):
                return self._choose(["", "", ' xsi:type="xs:string"', ' xsi:type="Text"'])
            case bool():
                return ' xsi:type="xs:boolean"'
            case int():
                return self._choose([' xsi:type="xs:integer"', ' xsi:type="xs:long"', ' xsi:type="xs:decimal"'])
            case float():
                return self._choose([' xsi:type="xs:double"', ' xsi:type="xs:decimal"'])
        return self._choose(["", ' xsi:type="xs:string"', ' xsi:type="Text"'])

    def content(self, value: Any, path: tuple[str, ...]) -> str:
        match value:
            case None:
                return ""
            case bool() if not is_declared(path):
                return self._choose(["true", "1"] if value else [" false ", "0"])
            case bool():
                return self._choose(["true", "1", "TRUE"] if value else ["false", "0", "False"])
            case dict():
                return self.members(value, path)
            case list():
                return "".join(self.element("_", each, path) for each in value)
            case str():
                return self.text(value)
            case _:
                return self._choose([repr(value), f" {value!r}\n"])

    def text(self, value: str) -> str:
        escaped = escape(value, {"\r": "&#13;"})
        plain = "]]>" not in value and "\r" not in value and value
        return self._choose([escaped, f"<![CDATA[{value}]]>"]) if plain else escaped


LISTS = {("tags", "value"), ("ranks", "value")}


def canonical(body: bytes, content_type: str) -> str:
    codec, charset = media.codec_for(content_type)
    asked = IMPORT.parse(Request(codec.decode(body, charset), is_typed=codec.is_typed))
    (checked,) = (validate_command(FORM, read, CommandType.UPDATE, codec.is_typed) for read in asked.commands)
    verdict = [vars_of(fault) for fault in checked.faults] if isinstance(checked, Refusal) else checked
    if isinstance(verdict, dict):
        # The members of a command have no order, and those of its values do.
        return json.dumps({name: json.dumps(verdict[name]) for name in sorted(verdict)})
    return json.dumps(verdict)


def vars_of(fault: Any) -> list[str]:
    return [fault.code, fault.pointer]


@pytest.mark.law
@given(data, st.data())
def test_the_same_update_in_both_media_types_is_one_value(data: dict[str, Any], draw: st.DataObject) -> None:
    body = {"token": "t", "db_id": 1, "email": "a@example.com", "detect_geo": True, "data": data}
    xml = Writer(lambda choices: draw.draw(st.sampled_from(choices))).members(body, ())
    assert canonical(json.dumps(body).encode(), "application/json") == canonical(
        f"<xml {NAMESPACES}>{xml}</xml>".encode(), "application/xml"
    )


def test_the_law_is_tested_with_accepted_updates() -> None:
    """A law that only ever saw refusals would hold of anything."""
    body = {"token": "t", "db_id": 1, "email": "a@example.com", "data": {"checks": 1, "tags": ["a"], "x": {"y": "z"}}}
    accepted = json.loads(canonical(json.dumps(body).encode(), "application/json"))
    assert json.loads(accepted["profile"])["custom"]["tags"] == ["a"]
