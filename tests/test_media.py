"""The room `gateway/media/`: its fixtures, the choice of a codec, and the laws that hold for every tree.

What a single document proves is in `fixtures/media`; nothing here knows a dialect.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any
from xml.dom import minidom

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.media import CODECS, Bounds, Codec, codec_for, guess_codec, negotiate, reply_codec, xml_parser
from gateway.media import json as json_codec
from gateway.media import xml as xml_codec
from gateway.media.codec import DEFAULT_BOUNDS
from gateway.media.xml_names import element_name, member_name

FIXTURES = Path(__file__).parents[1] / "fixtures" / "media"
CASES = sorted(path for path in FIXTURES.glob("*/*") if path.is_dir())
READ = [case for case in CASES if not case.name.startswith("rejects-")]
REJECTED = [case for case in CASES if case.name.startswith("rejects-")]
SHARED = sorted({case.name for case in READ if len(list(FIXTURES.glob(f"*/{case.name}"))) == len(CODECS)})


def decoded(case: Path) -> Tree:
    """What a fixture's document is read as, by the Content-Type beside it."""
    sent = case / "content-type.txt"
    codec, charset = codec_for(sent.read_text().strip() if sent.exists() else f"application/{case.parent.name}")
    return codec.decode((case / f"document.{case.parent.name}").read_bytes(), charset)


def named(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def json_text(tree: Tree) -> str:
    """A text that differs where two trees differ in a value, a type or the order of members."""
    return json.dumps(tree)


def fault_of(call: Callable[..., Any], *arguments: Any) -> Fault:
    with pytest.raises(Refusal) as refused:
        call(*arguments)
    (fault,) = refused.value.faults
    return fault


def outcome(codec: Codec, body: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> str:
    try:
        codec.decode(body, None, bounds)
    except Refusal as refusal:
        return refusal.faults[0].code
    return "read"


# --- fixtures ---


@pytest.mark.parametrize("case", READ, ids=named)
def test_document_is_read_as_its_tree(case: Path) -> None:
    assert json_text(decoded(case)) == json_text(json.loads((case / "tree.json").read_text()))


@pytest.mark.parametrize("case", READ, ids=named)
def test_tree_is_written_and_read_back(case: Path) -> None:
    (codec,) = (codec for codec in CODECS if codec.name == case.parent.name)
    tree = json.loads((case / "tree.json").read_text())
    if codec is xml_codec and "null" in json_text(tree):
        pytest.skip("a reply writes null as an empty element, as the vendors do")
    assert json_text(codec.decode(codec.encode(tree))) == json_text(tree)


@pytest.mark.parametrize("case", REJECTED, ids=named)
def test_document_is_rejected(case: Path) -> None:
    expected = json.loads((case / "fault.json").read_text())
    fault = fault_of(decoded, case)
    assert (fault.code, expected["detail"] in fault.detail) == (expected["code"], True), fault
    assert len(fault.detail) < 200


@pytest.mark.parametrize("name", SHARED)
def test_one_case_in_two_media_types_is_one_tree(name: str) -> None:
    first, second = (json.loads((FIXTURES / codec.name / name / "tree.json").read_text()) for codec in CODECS)
    assert json_text(first) == json_text(second)


def test_fixtures_are_whole() -> None:
    assert len(SHARED) > 15
    for case in CASES:
        files = {path.name for path in case.iterdir()} - {"content-type.txt"}
        assert files == {f"document.{case.parent.name}", "fault.json" if case in REJECTED else "tree.json"}, case


# --- which codec reads ---


@pytest.mark.parametrize(
    ("content_type", "codec", "charset"),
    [
        ("application/json", "json", None),
        ("text/json", "json", None),
        ("application/vnd.api+json", "json", None),
        ("APPLICATION/JSON", "json", None),
        ("application/json;charset=utf-8", "json", "utf-8"),
        ('application/json ; Charset="UTF-8"', "json", "utf-8"),
        ("application/json;", "json", None),
        (" application/json\t", "json", None),
        ("application/xml", "xml", None),
        ("text/xml; charset=windows-1251", "xml", "windows-1251"),
        ("application/soap+xml; action=\"a;charset=x\"; charset='y'", "xml", "'y'"),
    ],
)
def test_content_type_names_codec_and_charset(content_type: str, codec: str, charset: str | None) -> None:
    found, label = codec_for(content_type)
    assert (found.name, label) == (codec, charset)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/jsonp",
        "application/xml-dtd",
        "json",
        "application/json, application/json",
        "application/json; charset",
        "application/json; charset=utf-8; charset=koi8-r",
        "*/*",
    ],
)
def test_other_content_types_are_refused_by_name(content_type: str | None) -> None:
    fault = fault_of(codec_for, content_type)
    assert fault.code == "unsupported_media_type"
    assert f'"{content_type}"' in fault.detail if content_type and len(content_type) < 50 else fault.detail


@pytest.mark.parametrize(
    ("codec", "body", "path"),
    [
        (json_codec, b'{"a": [1, 100000000000000000000]}', ["a", 1]),
        (json_codec, b'{"a": -9223372036854775809}', ["a"]),
        (json_codec, b'{"a": {"b": 1e400, "c": 1.5}}', ["a", "b"]),
        (json_codec, b"[1.00000000000000000001]", [0]),
    ],
)
def test_an_unrepresentable_number_is_marked(codec: Codec, body: bytes, path: list[Any]) -> None:
    marks: list[UnrepresentableNumber] = []
    tree = codec.decode(body, unrepresentable=marks)
    for step in path:
        tree = tree[step]
    assert [tree] == marks
    assert fault_of(codec.decode, body).code == "malformed_body"


def test_an_unrepresentable_number_of_xml_is_marked() -> None:
    marks: list[UnrepresentableNumber] = []
    body = (
        b'<xml xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:s="http://www.w3.org/2001/XMLSchema">'
        b'<a i:type="s:integer">100000000000000000000</a></xml>'
    )
    tree = xml_codec.decode(body, unrepresentable=marks)
    assert [tree["a"].value] == marks
    assert tree["a"] == "100000000000000000000"
    assert fault_of(xml_codec.decode, body).code == "malformed_body"


@pytest.mark.parametrize("digits", [1001, 5000])
def test_an_unrepresentable_number_of_thousands_of_digits_rejects_the_body(digits: int) -> None:
    for text in (b"9" * digits, b"1." + b"3" * digits):
        assert fault_of(json_codec.decode, b"[" + text + b"]", None, DEFAULT_BOUNDS, []).code == "malformed_body"


# --- which codec writes ---


@pytest.mark.parametrize(
    ("parameter", "accept", "request_codec", "reply"),
    [
        (None, None, None, "json"),
        (None, None, xml_codec, "xml"),
        (None, "", xml_codec, "xml"),
        (None, "*/*", xml_codec, "xml"),
        (None, "*/*;q=0.1", xml_codec, "xml"),
        (None, "*/*", json_codec, "json"),
        (None, "application/*", xml_codec, "xml"),
        (None, "application/json", xml_codec, "json"),
        (None, "application/xml", json_codec, "xml"),
        (None, "text/xml", json_codec, "xml"),
        (None, "application/vnd.api+json", xml_codec, "xml"),
        (None, "text/html, application/xhtml+xml, */*", json_codec, "json"),
        (None, "image/gif, application/xaml+xml, application/x-ms-xbap, */*", json_codec, "json"),
        (None, "application/problem+json, */*", xml_codec, "xml"),
        (None, "application/rdf+xml;q=0.9, */*;q=0.8", json_codec, "json"),
        (None, "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", json_codec, "json"),
        (None, "application/xml; charset=utf-8", json_codec, "xml"),
        (None, "application/json, text/plain, */*", xml_codec, "json"),
        (None, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", json_codec, "xml"),
        (None, "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", xml_codec, "xml"),
        (None, "application/json, application/xml", xml_codec, "xml"),
        (None, "application/json, application/xml", json_codec, "json"),
        (None, "application/json;q=0.5, application/xml;q=0.4", xml_codec, "json"),
        (None, "application/xml;q=0, */*", xml_codec, "json"),
        (None, "application/xml;q=0, application/json;q=0", xml_codec, "xml"),
        (None, "image/png", xml_codec, "xml"),
        (None, "rubbish", xml_codec, "xml"),
        (None, ',;="', xml_codec, "xml"),
        ("json", "application/xml", xml_codec, "json"),
        ("xml", "application/json", None, "xml"),
        ("yaml", None, xml_codec, "xml"),
        ("yaml", "application/json", xml_codec, "json"),
    ],
)
def test_reply_codec(parameter: str | None, accept: str | None, request_codec: Codec | None, reply: str) -> None:
    assert reply_codec(parameter, accept, request_codec).name == reply


@pytest.mark.parametrize(
    ("accept", "own_type", "reply"),
    [
        ("application/vnd.a+xml, */*;q=0.5", "application/vnd.a+xml", "xml"),
        ("application/vnd.a+xml, */*;q=0.5", "application/vnd.A+XML; charset=utf-8", "xml"),
        ("application/vnd.a+xml, */*;q=0.5", "application/vnd.b+xml", "json"),
        ("application/vnd.api+json;q=0.9, application/xml;q=0.8", "application/vnd.api+json", "json"),
    ],
)
def test_a_range_with_a_suffix_counts_if_it_is_an_own_type(accept: str, own_type: str, reply: str) -> None:
    assert reply_codec(None, accept, json_codec, (own_type,)).name == reply


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        (b"<xml/>", xml_codec),
        (b" \r\n\t<xml/>", xml_codec),
        (b"\xef\xbb\xbf\n<xml/>", xml_codec),
        ("\ufeff<xml/>".encode("utf-16-le"), xml_codec),
        ("\ufeff <xml/>".encode("utf-16-be"), xml_codec),
        (b"", None),
        (b'{"a": "<"}', None),
        (b"a=1&b=<xml/>", None),
        (b" " * 1000 + b"<xml/>", None),
    ],
)
def test_guess_codec(body: bytes, codec: Codec | None) -> None:
    assert guess_codec(body) is codec


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("text/*, text/plain;q=0", "text/html"),
        ("text/html;level=1;q=0.1, text/html", "text/html"),
        ('text/html;level="1", text/html;q=0.9', "text/html;level=1"),
        ("text/html;level=2", "text/plain"),
        ("text/html;q=0.5, text/plain;q=0.5", "text/plain"),
        ("TEXT/HTML", "text/html"),
        ('text/plain;x="a, text/html, b"', "text/plain"),
        ("text/html;q=-1, text/plain;q=0.9", "text/html"),
        ("text/html;q=2, text/plain", "text/plain"),
    ],
)
def test_negotiation_by_quality_then_specificity_then_default(accept: str, best: str) -> None:
    assert negotiate(accept, ["text/html", "text/html;level=1", "text/plain"], "text/plain") == best


def test_what_nothing_satisfies_is_the_default() -> None:
    assert negotiate("image/png", ["text/html"], "text/plain") == "text/plain"
    assert negotiate("text/html;q=0", ["text/html"], "text/plain") == "text/plain"
    assert negotiate("text/html", [], "text/plain") == "text/plain"


# --- laws ---

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
awkward_names = st.sampled_from(
    ["_", "__", "item", "_x0041_", "_x0041 ", "a b", "1", "a:b", "@array", "#text", "#comment"]
)
members = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1) | awkward_names
leaves = st.none() | st.booleans() | integers | floats | texts


def trees(names: st.SearchStrategy[str]) -> st.SearchStrategy[Tree]:
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))


def carried(tree: Tree) -> Tree:
    """A tree as it comes back from XML: leaves as texts, without what XML 1.0 has no character for."""
    if isinstance(tree, dict):
        return {name: carried(value) for name, value in tree.items() if name} or ""
    if isinstance(tree, list):
        return [carried(value) for value in tree]
    if tree is None or isinstance(tree, bool):
        return {None: "", True: "true", False: "false"}[tree]
    return "".join(filter(_is_xml_character, str(tree)))


def _is_xml_character(character: str) -> bool:
    return (
        character in "\t\n\r"
        or " " <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character > "\uffff"
    )


@pytest.mark.law
@given(trees(members | st.just("")))
def test_json_is_read_back_as_it_was_written(tree: Tree) -> None:
    assert json_text(json_codec.decode(json_codec.encode(tree))) == json_text(with_whole_numbers(tree))


@pytest.mark.law
@given(trees(members | st.just("")))
@example([])
@example([[], [[]], [""], [None], [[""]], [{}]])
@example({"a": [""], "b": [{"": 1}], "c": [[[]]], "d": [["\x01"]], "_": [{"_": ["x"]}]})
@example({"a": "\r\n\t \x85\u2028]]>", "b": "&#13;<!--"})
def test_xml_is_read_back_as_it_was_written(tree: Tree) -> None:
    expected = carried({"root": tree})["root"]
    assert json_text(xml_codec.decode(xml_codec.encode({"root": tree}))["root"]) == json_text(expected)


@pytest.mark.law
@given(st.dictionaries(members, leaves | st.lists(leaves)) | st.lists(leaves))
def test_the_root_is_read_back_too(tree: Tree) -> None:
    assert json_text(xml_codec.decode(xml_codec.encode(tree))) == json_text(carried(tree) or {} if tree != [] else [])


@pytest.mark.law
@given(trees(members))
def test_one_tree_of_texts_is_one_value_in_both(tree: Tree) -> None:
    value = carried({"root": tree})
    assert json_text(xml_codec.decode(xml_codec.encode(value))) == json_text(
        json_codec.decode(json_codec.encode(value))
    )


@pytest.mark.law
@given(st.dictionaries(members, texts))
def test_another_parser_finds_the_same_texts(tree: dict[str, str]) -> None:
    document = minidom.parseString(xml_codec.encode(tree)).documentElement
    assert document is not None
    found = [
        (str(child.nodeName), "".join(str(text.nodeValue) for text in child.childNodes))
        for child in document.childNodes
    ]
    assert found == [(element_name(name), carried(text)) for name, text in tree.items()]


@pytest.mark.law
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1) | awkward_names)
@example("_x0041 ")
@example("a\u1680b")
@example("_\n")
@example("\n")
def test_every_name_has_one_spelling(name: str) -> None:
    element = element_name(name)
    assert element is not None
    assert member_name(element) == name
    assert element != "_"


@pytest.mark.parametrize("name", ["", "a\0", "\ud800", "\udfffb"])
def test_names_that_xml_cannot_represent_are_left_out(name: str) -> None:
    assert element_name(name) is None
    assert xml_codec.decode(xml_codec.encode({name: 1, "a": {name: 2}})) == {"a": ""}


def test_lone_surrogates_are_left_out_of_xml() -> None:
    assert xml_codec.decode(xml_codec.encode({"a": "x\ud800y"})) == {"a": "xy"}


@pytest.mark.law
@given(integers | floats)
def test_numbers_are_read_as_python_reads_them(number: int | float) -> None:
    text = json.dumps(number)
    assert json_text(json_codec.decode(text.encode())) == json_text(with_whole_numbers(json.loads(text)))


def with_whole_numbers(tree: Tree) -> Tree:
    """What a reader of JSON makes of the floats that are whole: 5.0 is 5."""
    if isinstance(tree, dict):
        return {name: with_whole_numbers(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [with_whole_numbers(value) for value in tree]
    return int(tree) if isinstance(tree, float) and tree % 1 == 0 and -(2**63) <= tree < 2**63 else tree


@pytest.mark.law
@given(st.binary() | texts.map(str.encode) | texts.map("<xml>{}</xml>".format).map(str.encode), st.sampled_from(CODECS))
def test_any_bytes_are_a_tree_or_a_refusal(body: bytes, codec: Codec) -> None:
    assert outcome(codec, body) in {"read", "malformed_body", "too_deep", "too_many_nodes"}


@pytest.mark.law
@given(st.text(max_size=60) | st.text(st.sampled_from('ax*/;,="\\ q01.'), max_size=60))
def test_no_header_makes_the_choice_fail(header: str) -> None:
    assert reply_codec(header, header, xml_codec) in CODECS
    assert negotiate(header, ["a/b"], "c/d") in ("a/b", "c/d")


# --- bounds ---

deep = st.recursive(
    st.just("x"),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(members, inner, min_size=1, max_size=3),
)


@pytest.mark.law
@given(deep, st.integers(1, 6), st.integers(1, 12))
def test_bounds_are_the_same_in_both_media_types(tree: Tree, depth: int, nodes: int) -> None:
    body, bounds = {"root": tree}, Bounds(depth, nodes)
    within = levels(body) <= depth and elements_in(body) <= nodes
    for codec in CODECS:
        assert (outcome(codec, codec.encode(body), bounds) == "read") == within


def children(tree: Tree) -> list[Tree]:
    return list(tree.values()) if isinstance(tree, dict) else tree if isinstance(tree, list) else []


def levels(tree: Tree) -> int:
    return 1 + max(map(levels, children(tree)), default=0) if isinstance(tree, dict | list) else 0


def elements_in(tree: Tree) -> int:
    return 1 + sum(map(elements_in, children(tree)))


# --- what an attacker sends ---


def test_more_attributes_than_elements_are_refused_before_they_are_stored() -> None:
    attributes = b" ".join(b'a%d="1"' % number for number in range(40_000))
    with pytest.raises(Refusal) as refused:
        xml_codec.decode(b"<xml><a " + attributes + b"/></xml>")
    assert "too many attributes" in refused.value.faults[0].detail
    assert xml_codec.decode(b"<xml><a>" + b"b=c " * 20_000 + b"</a></xml>") == {"a": "b=c " * 20_000}


def test_no_long_name_is_remembered_whatever_the_bounds_are() -> None:
    with pytest.raises(Refusal) as refused:
        xml_codec.decode(b"<xml><" + b"a" * 5_000 + b"/></xml>", None, Bounds(name=10_000))
    assert "more than 4096 characters" in refused.value.faults[0].detail


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (xml_codec, b"<!--" * 250_000 + b"<!DOCTYPE"),
        (xml_codec, b"<?a?>" * 200_000 + b"<!DOCTYPE"),
        (xml_codec, b"<?xml " + b" encoding" * 100_000 + b"<!DOCTYPE"),
        (xml_codec, b"<!DOCTYPE" * 100_000),
        (xml_codec, b"<xml>" + b"<a/>" * 250_000 + b"</xml>"),
        (xml_codec, b"<xml>" + b"<a>" * 300_000),
        (xml_codec, b"<xml><a" + b' b=""' * 200_000),
        (xml_codec, b"<xml>" + b"&#65;" * 200_000 + b"</xml>"),
        (xml_codec, b"<xml><" + b"a" * 5_000 + b"/></xml>"),
        (xml_codec, b"<xml><" + b"_" * 1_000_000),
        (xml_codec, b"<xml" + b" " * 1_000_000),
        (xml_codec, b"<xml>" + b"</a>" * 250_000),
        (xml_codec, b"<xml><a>" + b">" * 1_000_000),
        (xml_codec, b"<xml><a" + b" array='true'" * 80_000),
        (xml_codec, b"<xml>" + (b"<b>" + b" " * 19_000) * 50),
        (xml_codec, b"<xml><a>" + b"&amp;" * 200_000),
        (json_codec, b"[" * 1_000_000),
        (json_codec, b'{"a":' * 200_000),
        (json_codec, b"[" + b"[]," * 300_000 + b"[]]"),
        (json_codec, b'["' + b"\\" * 1_000_000 + b'\\u0000"]'),
        (json_codec, b"[" + b"9" * 4_000 + b"]"),
        (json_codec, b"{" + b",".join(b'"%d":0' % n for n in range(100_000)) + b"}"),
    ],
    ids=range(22),
)
def test_hostile_bodies_are_refused_soon(codec: Codec, body: bytes) -> None:
    begun = time.thread_time()
    fault_of(codec.decode, body)
    assert time.thread_time() - begun < 3


FULL_OF_NEW = {
    "names": lambda number: b"<n%d_%s/>" % (number, b"n" * 80),
    "instructions": lambda number: b"<?n%d_%s?>" % (number, b"n" * 80),
    "blanks": lambda number: b"<a>%s</a>" % f"{number:059b}".replace("0", " ").replace("1", "\t").encode(),
}


@pytest.mark.parametrize("kind", FULL_OF_NEW)
@pytest.mark.parametrize("ending", [b"</xml>", b""], ids=["whole", "broken"])
def test_memory_is_bounded_however_much_is_new(kind: str, ending: bytes) -> None:
    def read() -> None:
        elements = map(FULL_OF_NEW[kind], islice(NUMBERS, 9_000))
        with suppress(Refusal):
            xml_codec.decode(b"<xml>" + b"".join(elements) + ending)

    read()
    before = resident()
    for _ in range(50):
        read()
    assert resident() - before < 16 * 1024 * 1024


NUMBERS = count()
"""No test reads what another one has read."""


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_tree_outlives_the_dictionary_that_it_was_read_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_parser, "MAX_DICTIONARY_INPUT_BYTES", 16)
    trees = [xml_parser.parse_document(b"<xml><a%d/></xml>" % number) for number in range(100)]
    assert [tree[0].tag for tree in trees] == [f"a{number}" for number in range(100)]


@pytest.mark.parametrize(
    "header",
    [
        '"\\' * 30_000,
        "a/b;" * 20_000,
        "a/b; \t;" * 10_000,
        "a/b;c=" + '"\\"' * 20_000,
        ",".join(f"a/{n}+json" for n in range(10_000)),
    ],
    ids=range(5),
)
def test_hostile_headers_are_read_soon(header: str) -> None:
    begun = time.thread_time()
    assert reply_codec(None, header, json_codec) is json_codec
    assert fault_of(codec_for, header).code == "unsupported_media_type"
    assert time.thread_time() - begun < 1


def test_no_file_is_read_for_a_body(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("kept from clients")
    for body in (
        f'<!DOCTYPE xml [<!ENTITY e SYSTEM "{secret.as_uri()}">]><xml><a>&e;</a></xml>',
        f'<xml xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{secret.as_uri()}" parse="text"/></xml>',
    ):
        assert "kept" not in fault_of(xml_codec.decode, body.encode()).detail


def test_numbers_of_xml_are_written_as_those_of_json() -> None:
    written = xml_codec.encode({"a": 1, "b": -0.0, "c": 1.5, "d": True, "e": False, "f": None, "g": 2**63 - 1})
    assert b"<a>1</a><b>-0.0</b><c>1.5</c><d>true</d><e>false</e><f/><g>9223372036854775807</g>" in written


def test_replies_are_written_with_a_declaration_and_marks() -> None:
    reply = {"error": 0, "error_text": "Successful operation", "result": [{"profile_id": "a"}], "cats": []}
    assert xml_codec.encode(reply) == (
        b'<?xml version="1.0" encoding="utf-8"?>\n<xml><error>0</error><error_text>Successful operation</error_text>'
        b'<result array="true"><profile_id>a</profile_id></result><cats array="true"/></xml>'
    )


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        *[("latin1", "latin1"), ("IBM819", "latin1"), ("ISO_8859-1:1987", "latin1"), ("csISOLatin1", "latin1")],
        *[("ANSI_X3.4-1968", "ascii"), ("ISO_646.irv:1991", "ascii"), ("csUTF8", "utf-8"), ("csUTF16", "utf-16-be")],
        *[("Latin-9", "iso8859-15"), ("csISO885916", "iso8859-16"), ("cswindows1251", "cp1251"), ("csKOI8U", "koi8-u")],
    ],
)
def test_a_charset_has_every_name_that_iana_registers(label: str, encoding: str) -> None:
    text = "a" if encoding in ("ascii", "utf-16-be") else {"cp1251": "я", "koi8-u": "я"}.get(encoding, "ä")
    assert json_codec.decode(f'"{text}"'.encode(encoding), label) == text
