"""The fast codecs against thorough ones: the same trees, bytes and refusals, on bodies that are nearly plain."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xmltodict
from hypothesis import event, example, given
from hypothesis import strategies as st

from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.core.typed_text import TypedText
from gateway.media import Bounds, xml_plain
from gateway.media import json as json_codec
from gateway.media import xml as xml_codec
from gateway.media.codec import DEFAULT_BOUNDS
from gateway.media.xml_names import element_name
from gateway.media.xml_plain import decode_plain
from tests.test_media import leaves, members, trees
from tests.test_media_corpora import CORPORA, rows

FIXTURES = Path(__file__).parents[1] / "fixtures"
REQUESTS = {
    suffix: [path.read_bytes() for path in sorted(FIXTURES.rglob(f"*.{suffix}")) if path.name != "case.json"]
    for suffix in ("json", "xml")
}
"""Every body in the fixtures, by media type."""


def outcome(decode: Callable[..., Tree], body: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> str:
    """A text that differs where decoders differ: in the tree, a type, the marked numbers or the refusal."""
    marks: list[UnrepresentableNumber] = []
    try:
        tree = decode(body, None, bounds, marks)
    except Refusal as refusal:
        return repr(refusal.faults)
    return repr((tree, marks))


# --- bodies that are changed a little ---

bounds = (
    st.just(DEFAULT_BOUNDS)
    | st.builds(Bounds, depth=st.integers(1, 6))
    | st.builds(Bounds, *[st.integers(1, limit) for limit in (6, 12, 5, 20, 4)])
)


def changed(bodies: st.SearchStrategy[str], characters: str) -> st.SearchStrategy[bytes]:
    """Bodies with up to two characters replaced, inserted or removed."""
    change = st.tuples(st.integers(0, 10_000), st.sampled_from((0, 1)), st.sampled_from(("", *characters)))
    return st.builds(_with_changes, bodies, st.lists(change, max_size=2))


def _with_changes(body: str, changes: list[tuple[int, int, str]]) -> bytes:
    for place, removed, inserted in changes:
        start = place % (len(body) + 1)
        body = body[:start] + inserted + body[start + removed :]
    return body.encode("utf-8", "surrogatepass")


# --- XML ---

names = st.sampled_from(("a", "b", "_c", "email", "d.e-f1", "xml", "a" * 100))
texts = st.lists(
    st.sampled_from(
        (
            "a",
            "b c",
            " ",
            "\n",
            "Ж",
            "€",
            "😀",
            "&amp;",
            "&lt;",
            "&gt;",
            "&quot;",
            "&apos;",
            '"',
            "'",
            "=",
            "\r\n",
            "\r",
            "\t",
        )
    ),
    max_size=4,
).map("".join)
blanks = st.sampled_from(("", "", "", "\n  ", "\r\n", " \t"))
arrays = st.sampled_from(("", "", "", " array='true'", ' array="1"'))


def elements(
    names: st.SearchStrategy[str], texts: st.SearchStrategy[str], arrays: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    leaf = st.builds("<{0}{1}>{2}</{0}>".format, names, arrays, texts) | st.builds("<{}{}/>".format, names, arrays)
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            "<{0}{1}>{2}{3}{2}</{0}>".format,
            names,
            arrays,
            blanks,
            st.lists(inner, min_size=1, max_size=4).map("".join),
        ),
        max_leaves=12,
    )


starts = st.sampled_from(
    (
        "<xml>",
        "\n<xml>",
        '<?xml version="1.0"?><xml>',
        "<?xml version='1.0' encoding='utf-8' ?>\r\n<xml>",
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<xml>',
        '<xml xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
        "<xml xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:xsd='http://www.w3.org/2001/XMLSchema'>",
    )
)
plain_documents = st.builds(
    "{}{}{}{}</xml>{}".format,
    starts,
    blanks,
    st.lists(elements(names, texts, arrays), max_size=5).map("".join),
    blanks,
    blanks,
)
odd_names = names | st.sampled_from(("_", "_x0041_", "x_x0041_", "é", "a" * 101, "a:b", "-a", "1"))
odd_texts = texts | st.sampled_from(
    (
        "&#65;",
        ">",
        "]]>",
        "\x00",
        "\x01",
        "\x7f",
        "\x85",
        "\ufffe",
        "\uffff",
        "\ud800",
        "&nope;",
        "&",
        "/>",
        "<!--a-->",
        "<?a?>",
        "<![CDATA[a]]>",
    )
)
odd_arrays = arrays | st.sampled_from(
    (
        " array='false'",
        " array=' true'",
        " b='1'",
        "  array='1'",
        " array='1' array='1'",
        " xsi:nil='true'",
        " xmlns='a'",
    )
)
odd_starts = starts | st.sampled_from(
    (
        "",
        "\ufeff<xml>",
        " <?xml version='1.0'?><xml>",
        "<?xml version='1.0' encoding='koi8-r'?><xml>",
        "<?xml version='1.0' encoding='utf-16'?><xml>",
        "<?xml version='1.1'?><xml>",
        "<xml b=''>",
        "<Xml>",
        "<xml array='true'>",
        "<!DOCTYPE xml><xml>",
    )
)
documents = plain_documents | st.builds(
    "{}{}{}</xml>{}".format,
    odd_starts,
    blanks,
    st.lists(elements(odd_names, odd_texts, odd_arrays), max_size=3).map("".join),
    blanks | st.sampled_from(("<xml/>", "</xml>", "<b>c</b>", "a", "<!--a-->")),
)
XML_CHARACTERS = "<>/=&;\"' \n\r\0\x01ab_xЖ\ud800\ufffe"


@pytest.mark.law
@given(plain_documents)
def test_usual_xml_is_decoded_without_lxml(document: str) -> None:
    tree = decode_plain(document.encode(), DEFAULT_BOUNDS)
    assert tree is not None
    assert repr(tree) == repr(xml_codec.decode_thoroughly(document.encode()))


@pytest.mark.law
@given(changed(documents, XML_CHARACTERS), bounds)
@example(b"<xml><a array='true'>1</a></xml>", Bounds(depth=1))
@example(b"<xml><a><b array='true'>1</b></a></xml>", Bounds(depth=2))
@example(b"<xml><a><</a></xml>", DEFAULT_BOUNDS)
@example(b"<xml><xml><a>1</a></xml>", DEFAULT_BOUNDS)
@example(b"<xml><" + b"a" * 5_000 + b"/></xml>", DEFAULT_BOUNDS)
def test_plain_xml_has_the_tree_that_lxml_gives(body: bytes, bounds: Bounds) -> None:
    tree = decode_plain(body, bounds)
    event("plain" if tree is not None else "not plain")
    if tree is not None:
        assert repr((tree, [])) == outcome(xml_codec.decode_thoroughly, body, bounds)


@pytest.mark.parametrize("start", range(0, len(REQUESTS["xml"]), 100))
def test_xml_of_the_fixtures_has_the_tree_that_lxml_gives(start: int) -> None:
    for body in REQUESTS["xml"][start : start + 100]:
        assert outcome(xml_codec.decode, body) == outcome(xml_codec.decode_thoroughly, body)


def test_most_xml_of_the_fixtures_is_plain() -> None:
    plain = [body for body in REQUESTS["xml"] if decode_plain(body, DEFAULT_BOUNDS) is not None]
    assert len(plain) > 0.8 * len(REQUESTS["xml"])


@pytest.mark.parametrize("row", rows("strings"))
def test_a_text_of_the_corpus_has_the_tree_that_lxml_gives(row: dict[str, Any]) -> None:
    body = xml_codec.encode({"a": row["text"], row["text"]: ["a", row["text"]]})
    assert outcome(xml_codec.decode, body) == outcome(xml_codec.decode_thoroughly, body)


@pytest.mark.parametrize(("limit", "value"), [("MAX_CACHED_TAGS", 10), ("MAX_CACHED_TAGS_LENGTH", 1)])
def test_tags_are_cached_within_limits(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_plain, limit, value)
    monkeypatch.setattr(xml_plain, "_KNOWN_TAGS", known := xml_plain._KnownTags())
    for number in range(100):
        body = b"<xml><a%d>1</a%d><b>2</b></xml>" % (number, number)
        assert xml_codec.decode(body) == {f"a{number}": "1", "b": "2"}
    assert len(known) <= 10


# --- XML, written ---


def written(tree: Tree) -> bytes:
    """The XML of a tree, by xmltodict."""
    document: str = xmltodict.unparse({"xml": _encodable(tree)}, short_empty_elements=True)
    return document.replace("\r", "&#13;").encode()


def _encodable(value: Tree) -> Any:
    if isinstance(value, str):
        return "".join(each for each in value if each in "\t\n\r" or (each >= " " and not _is_illegal(each)))
    if isinstance(value, dict):
        named = [(element_name(member), inner) for member, inner in value.items()]
        return {name: _run(inner) if isinstance(inner, list) else _encodable(inner) for name, inner in named if name}
    if isinstance(value, list):
        return {"_": [_encodable(item) for item in value] or {"@array": "true"}}
    return value


def _is_illegal(character: str) -> bool:
    return "\ud800" <= character <= "\udfff" or character in "\ufffe\uffff"


def _run(items: list[Tree]) -> Any:
    if not items:
        return {"@array": "true"}
    first, *rest = map(_encodable, items)
    if not rest and first in ("", None, {}):
        return {"_": first}
    return [{"@array": "true"} | (first if isinstance(first, dict) else {"#text": first}), *rest]


replies = trees(members | st.sampled_from(("", "a", "error", "a\0", "\ud800", "n" * 200)))
characters = st.text(st.sampled_from("<>&\"'\r\n\t \0\x01\x7f\x85\xa0Ж\u2028\ud800\ufffe\uffff😀]a"), max_size=6)


@pytest.mark.law
@given(replies | st.dictionaries(members | characters, leaves | characters | st.lists(leaves | characters)))
@example({"a": [0], "b": [False], "c": [{}], "d": [[]], "e": [{"": 1}], "f": ["\x01"], "g": [None, None]})
@example([[], [""], {}, None, 1.0, 1e300, -0.0, float("inf")])
@example({"a": TypedText("5", 5), "b": UnrepresentableNumber("1e400"), "c": [UnrepresentableNumber("1e400")]})
def test_xml_is_written_as_xmltodict_writes_it(tree: Tree) -> None:
    assert xml_codec.encode(tree) == written(tree)


def test_trees_of_the_fixtures_are_written_as_xmltodict_writes_them() -> None:
    for body in REQUESTS["json"]:
        try:
            tree = json_codec.decode(body)
        except Refusal:
            continue
        assert xml_codec.encode(tree) == written(tree)


# --- JSON ---

numbers = st.sampled_from(
    (
        *(
            "0",
            "-0",
            "0.0",
            "-0.0",
            "5.0",
            "5e0",
            "1E+2",
            "1e-2",
            "0.1",
            "1.5",
            "1e22",
            "1e-400",
            "1e400",
            "0e999999999",
        ),
        *("9007199254740991", "9007199254740992", "-9007199254740993", "9223372036854775807", "9223372036854775808"),
        *("-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616"),
        *("1.00000000000000000001", "0.1000000000000000055511151231257827", "123456789012345678", "9" * 400),
        *("01", "1.", ".5", "+1", "1e", "-", "NaN", "Infinity", "-Infinity", "nan", "0x1", "1_0"),
    )
)
decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(-1000, 1000, places=6)
escapes = st.lists(
    st.sampled_from(
        (
            *("a", "Ж", "😀", " ", "{", "[", ":", ",", r"\"", r"\\", r"\/", r"\n", r"\t", r"\b", r"\f", r"\r"),
            *(r"\u0022", r"\u005c", r"\u005C", r"\u0000", r"\u0041", r"\u0416", r"\ud83d\ude00", r"\uD83D\uDE00"),
            *(r"\ud800", r"\udc00", r"\ud800\u0041", r"\ud800\ud800", r"\u00", r"\x", r"\U0041", r"\\u0000", r"\\\""),
        )
    ),
    max_size=4,
).map("".join)
json_texts = st.builds('"{}"'.format, escapes)
spaces = st.sampled_from(("", "", "", " ", "\n  ", "\r\n\t"))
json_documents = st.recursive(
    json_texts | numbers | decimals.map(str) | st.sampled_from(("true", "false", "null", "1", "-17", '"a"')),
    lambda inner: (
        st.builds("[{}{}{}]".format, spaces, st.lists(inner, max_size=4).map(",".join), spaces)
        | st.builds(
            "{{{}{}{}}}".format,
            spaces,
            st.lists(
                st.builds(
                    "{}{}:{}{}".format, json_texts | st.sampled_from(('"a"', '"b"', '"c"')), spaces, spaces, inner
                ),
                max_size=4,
            ).map(" ,".join),
            spaces,
        )
    ),
    max_leaves=8,
)
JSON_CHARACTERS = '{}[]:,"\\ 0159.eE-+\n\0\x01\x7fauЖ\ud800\ufeff'


@pytest.mark.law
@given(changed(json_documents, JSON_CHARACTERS), bounds)
@example(b'{"a\\"":1,"b":"\\\\","a\\u0022":2}', DEFAULT_BOUNDS)
@example(b"[" * 210 + b"]" * 210, DEFAULT_BOUNDS)
def test_json_has_the_outcome_that_jiter_gives(body: bytes, bounds: Bounds) -> None:
    thorough = outcome(json_codec.decode_thoroughly, body, bounds)
    event("refused" if "Fault(" in thorough else "accepted")
    assert outcome(json_codec.decode, body, bounds) == thorough


@pytest.mark.law
@given(st.builds(json.dumps, trees(members), ensure_ascii=st.booleans(), indent=st.sampled_from((None, 1))))
def test_json_of_other_writers_has_the_tree_that_jiter_gives(document: str) -> None:
    body = document.encode()
    assert outcome(json_codec.decode, body) == outcome(json_codec.decode_thoroughly, body)


def test_json_of_the_fixtures_has_the_outcome_that_jiter_gives() -> None:
    for body in REQUESTS["json"]:
        assert outcome(json_codec.decode, body) == outcome(json_codec.decode_thoroughly, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "b": [true, null, 1.5, 5.0], "c": {"a": "x"}}',
        rb'{"a": "\u041f\u0451\u0442\u0440 \"\ud83d\ude00\" a\/b\n"}',
        json.dumps({"data": [{"email": "a@example.com"}] * 1_000}).encode(),
    ],
)
def test_usual_json_is_decoded_without_jiter(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = json_codec.decode_thoroughly(body)
    monkeypatch.delattr(json_codec, "decode_thoroughly")
    assert json_codec.decode(body) == expected


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora are not there")
def test_json_of_the_corpora_has_the_outcome_that_jiter_gives() -> None:
    for corpus in CORPORA.glob("*.jsonl"):
        for line in corpus.read_bytes().splitlines():
            assert outcome(json_codec.decode, line) == outcome(json_codec.decode_thoroughly, line)
