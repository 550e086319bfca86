"""Files of profiles: what each format reads, what it refuses, and how a refused row is returned."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.faults import Refusal
from gateway.media import Bounds
from gateway.transfer.formats import READERS, guess_format
from gateway.transfer.formats.csv import CsvWriter
from gateway.transfer.formats.json import JsonWriter
from gateway.transfer.formats.ndjson import NdjsonWriter
from gateway.transfer.formats.protocol import InvalidFile, ReaderOptions, RowReader, RowWriter
from gateway.transfer.formats.xml import XmlWriter
from gateway.transfer.sources import READ_ERRORS, open_source

MAX_ROW = 1000


def open_reader(
    content: bytes, format: str = "", encoding: str | None = None, max_row: int = MAX_ROW, **options: Any
) -> RowReader:
    stream = open_source(io.BytesIO(content), encoding)
    return READERS[format or guess_format("-", stream)](stream, ReaderOptions(max_row, **options))


def read(content: bytes, format: str = "", **options: Any) -> list[Any]:
    """Return the trees of the rows, and (line, reason) of those that are refused or end the file."""
    found: list[Any] = []
    try:
        reader = open_reader(content, format, **options)
        for row in reader.rows():
            try:
                found.append((row.line, row.fault) if row.fault else reader.decode(row, Bounds(), []))
            except Refusal as refusal:
                found.append((row.line, refusal.faults[0].text))
    except InvalidFile as error:
        found.append(str(error))
    return found


ANN, BOB = {"email": "ann@example.com"}, {"email": "bob@example.com"}

SAME = {
    "ndjson": b'{"email":"ann@example.com"}\n\n{"email":"bob@example.com"}',
    "json": b' [ {"email": "ann@example.com"}\n,{"email":"bob@example.com"}] \n',
    "csv": b"email\r\nann@example.com\r\n\r\nbob@example.com",
    "xml": b"<?xml version='1.0'?>\n<xml><db_id>1</db_id><!-- <data> -->"
    b"<data><email>ann@example.com</email></data>\n<data><email>bob@example.com</email></data></xml>",
}


@pytest.mark.parametrize("format", SAME)
def test_each_format_is_recognized_and_read(format: str) -> None:
    assert guess_format("-", open_source(io.BytesIO(SAME[format]))) == format
    assert read(SAME[format]) == [ANN, BOB]


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", content)
    return file.getvalue()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zipped])
@pytest.mark.parametrize("format", SAME)
def test_compressed_files_are_read(format: str, compress: Callable[[bytes], bytes]) -> None:
    assert read(compress(SAME[format])) == [ANN, BOB]


def two_streams(content: bytes) -> bytes:
    return bz2.compress(content[:300_000]) + bz2.compress(content[300_000:])


@pytest.mark.parametrize("compress", [gzip.compress, two_streams, lzma.compress])
def test_compressed_data_that_ends_early_is_an_error_after_the_rows_before(compress: Callable[[bytes], bytes]) -> None:
    content = compress(b"".join(b'{"n":%d,"x":"%032x"}\n' % (n, hash(str(n)) % 2**128) for n in range(20_000)))
    reader = open_reader(content[: len(content) // 2])
    rows = reader.rows()
    assert reader.decode(next(rows), Bounds(), [])["n"] == 0
    with pytest.raises(READ_ERRORS):
        list(rows)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "windows-1251", "koi8-r"])
@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "xml"])
def test_encodings_are_read(format: str, encoding: str) -> None:
    text = {
        "ndjson": '{"имя":"Анна"}\n',
        "json": '[{"имя":"Анна"}]',
        "csv": "имя\nАнна\n",
        "xml": "<xml><data><имя>Анна</имя></data></xml>",
    }[format]
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    given = None if encoding.startswith("utf") else encoding
    assert read((mark + text).encode(encoding), encoding=given) == [{"имя": "Анна"}]


def test_the_declaration_of_xml_names_its_encoding() -> None:
    text = "<?xml version='1.0' encoding='windows-1251'?><xml><data><имя>Анна</имя></data></xml>"
    assert read(text.encode("windows-1251")) == [{"имя": "Анна"}]


LONG = b"x" * (MAX_ROW + 1)

# fmt: off
BAD = {
    "a line that is no JSON": (b'{"a":1}\nphoto\n{"b":2}', [{"a": 1}, (2, "line 1 column 1"), {"b": 2}]),
    "a line that is too long": (
        b'{"a":"' + LONG * 50 + b'"}\n{"b":2}\n',
        [(1, "the row has more than 1000 bytes"), {"b": 2}],
    ),
    "a line that is too long at the end": (b'{"a":1}\n{"' + LONG, [{"a": 1}, (2, "the row has more than 1000 bytes")]),
    "a member twice": (b'{"a":1,"a":2}\n{"b":2}', [(1, "line 1 column 12: Detected dupl"), {"b": 2}]),
    "bytes that are no UTF-8": (b'{"a":"\xe9"}\n{"b":2}', [(1, "byte 6 of the body is not utf-8"), {"b": 2}]),
    "an array that ends early": (b'[{"a":1},{"b":', [{"a": 1}, "line 1: the element that begins here is malf"]),
    "an array without an end": (b'[{"a":1}\n', [{"a": 1}, "line 2: the file ends inside the array"]),
    "an array with a comma too many": (b'[{"a":1},\n]', [{"a": 1}, "line 2: the element that begins here is malf"]),
    "an array with text after it": (b'[{"a":1}]\n{}', [{"a": 1}, "line 2: the array has ended before it"]),
    "an array of a malformed element": (b'[{"a":1},\n{b}]', [{"a": 1}, "line 2: the element that begins here is malf"]),
    "an array with a long element": (
        b'[{"a":1},{"b":"' + b"x" * 200_000 + b'"}]',
        [{"a": 1}, "line 1: the element that begins here is malformed, or longer than 1000 bytes"],
    ),
    "an array nested deeply": (b"[" * 100_000, ["line 1: an element is nested too deeply"]),
    "an array with bytes that are no UTF-8": (b'[{"a":"\xe9"},{"b":2}]', [(1, "byte 6 of the body"), {"b": 2}]),
    "a ragged row": (
        b"a,b\n1,2\n3\n4,5,6\n7,8\n",
        [{"a": "1", "b": "2"}, (3, "the row has 1 cells"), (4, "the row has 3 cells"), {"a": "7", "b": "8"}],
    ),
    "a quotation mark too many": (
        b'a,b\n1,"2" x\n3,4\n',
        [(2, "the row is malformed: ',' expected after '\"'"), {"a": "3", "b": "4"}],
    ),
    "a quotation mark that is not closed": (
        b'a,b\n1,"2\n3,4\n5,6\n',
        [(2, "the row is malformed: unexpected end of data"), {"a": "3", "b": "4"}, {"a": "5", "b": "6"}],
    ),
    "a quotation mark that is not closed in a long file": (
        b'a,b\n1,"2\n' + b"3,4\n" * 400,
        [(2, "the row is malformed: it has more than 1000 characters"), *[{"a": "3", "b": "4"}] * 400],
    ),
    "a long line of CSV": (
        b"a,b\n1," + LONG * 5 + b"\n3,4\n",
        [(2, "the row has more than 1000 bytes"), {"a": "3", "b": "4"}],
    ),
    "a row of CSV that is no UTF-8": (b"a\n\xe9\nb\n", [(2, "the row is not UTF-8"), {"a": "b"}]),
    "a header that is no UTF-8": (b"a,\xe9\nb,c\n", ["line 1: the header is not UTF-8"]),
    "a header with a name twice": (b"a,b,a\n1,2,3\n", ["line 1: two columns of the header are the field 'a'"]),
    "a header without a name": (b"a,,b\n1,2,3\n", ["line 1: column 2 of the header has no name"]),
    "a header that is malformed": (b'a,"b\n1,2\n', ["line 1: the header is malformed"]),
    "an empty file": (b"", ["line 1: there is no header"]),
    "a cell that is no JSON": (b"a:json\n{\n[1]\n", [(2, "line 1 column 1"), {"a": [1]}]),
    "XML that ends early": (b"<xml><data><a>1</a></data><data><a>", [{"a": "1"}, "line 1: the XML is malformed: "]),
    "XML of another root": (b"<people><data/></people>", ["line 1: the root element is 'people', not \"xml\""]),
    "XML without rows": (b"<xml><db_id>1</db_id></xml>", ["line 1: there is no element data"]),
    "XML with tags that do not match": (b"<xml><data><a>1</b></data></xml>", ["line 1: the XML is malformed: mis"]),
    "XML with a DOCTYPE": (
        b"<!DOCTYPE xml [<!ENTITY a 'aaa'>]><xml><data><a>&a;</a></data></xml>",
        ["line 1: a DOCTYPE is not allowed"],
    ),
    "XML with a parameter after the rows": (
        b"<xml><data><a>1</a></data>\n<matching>phone</matching></xml>",
        [{"a": "1"}, "line 2: the parameter 'matching' is after data"],
    ),
    "XML with a long row": (
        b"<xml><data><a>" + LONG + b"</a></data><data><b>2</b></data></xml>",
        [(1, "the row has more than 1000 bytes"), {"b": "2"}],
    ),
    "XML with a row that does not end": (
        b"<xml><data><a>" + b"x" * 300_000 + b"</a></data></xml>",
        ["line 1: the row that begins here has more than 1000 bytes"],
    ),
    "XML with an unknown attribute": (
        b"<xml><data><a b='1'>1</a></data><data><b>2</b></data></xml>",
        [(1, 'line 1: the element "a" has the attribute "b"'), {"b": "2"}],
    ),
}
# fmt: on


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_by_its_line_and_hides_no_good_row(name: str) -> None:
    content, expected = BAD[name]
    format = "csv" if name == "an empty file" else ""
    found = read(content, format)
    assert len(found) == len(expected), found
    for one, other in zip(found, expected, strict=True):
        match one, other:
            case (line, reason), (expected_line, start):
                assert (line, reason[: len(start)]) == (expected_line, start)
            case str(), str():
                assert one.startswith(other), one
            case _:
                assert one == other


# CSV


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(sign: str) -> None:
    content = f'"a,;|","b"{sign}c\n1{sign}2\n' if sign == "," else f"a{sign}b,c{sign}d\n1{sign}2{sign}3\n"
    content = f"a{sign}c\n1{sign}2\n" if sign == "," else content
    names = ["a", "c"] if sign == "," else ["a", "b,c", "d"]
    assert read(content.encode(), "csv") == [dict(zip(names, "123", strict=False))]


def test_the_delimiter_may_be_said() -> None:
    assert read(b"a,b;c\n1;2\n", "csv", delimiter=";") == [{"a,b": "1", "c": "2"}]
    assert read(b"sep=;\na,b;c\n1;2\n", "csv") == [{"a,b": "1", "c": "2"}]


def test_cells_keep_quotes_line_breaks_and_carriage_returns() -> None:
    content = 'a,b\r\n"1 ""x""","two\r\nlines"\r\n" 3 ",\'4\r\n'
    assert read(content.encode()) == [{"a": '1 "x"', "b": "two\r\nlines"}, {"a": " 3 ", "b": "'4"}]


def test_an_empty_cell_is_no_value_and_two_quotation_marks_are_an_empty_one() -> None:
    assert read(b'a,b,c\n1,,""\n"",2,"x"""\n') == [{"a": "1", "c": ""}, {"a": "", "b": "2", "c": 'x"'}]


def test_cells_of_json_columns_are_values() -> None:
    assert read(b'a:json,b\n"[1,{""x"":null}]",[1]\n') == [{"a": [1, {"x": None}], "b": "[1]"}]


def test_columns_are_mapped_to_fields_or_left_out() -> None:
    content = b"E-Mail,Name,Notes\nann@example.com,Ann,x\n"
    assert read(content, names={"E-Mail": "email", "Notes": ""}) == [{**ANN, "Name": "Ann"}]
    assert read(content, names={"Mail": "email"}) == [
        "line 1: the header has no column 'Mail'; it has E-Mail, Name, Notes"
    ]


# Refused rows


REFUSED = {
    "ndjson": (b'{"a": 1}\nphoto\n[1]\n{}\n', [{"a": 1}, {"_row": "photo"}, {"_row": [1]}, {}]),
    "json": (b'[{"a": 1},"photo",\n[1],{}]', [{"a": 1}, {"_row": "photo"}, {"_row": [1]}, {}]),
    "csv": (b'"a,b";c\r\n1;"x ""y""\nz"\r\n3;""\r\n', [{"a,b": "1", "c": 'x "y"\nz'}, {"a,b": "3", "c": ""}]),
    "xml": (
        b"<xml><data/><data><a>1</a></data><data/> <data array='true'><b>2</b></data><data/></xml>",
        [{}, {"a": "1"}, {}, {"b": "2"}, {}],
    ),
    "items of xml": (
        b"<xml xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><db_id>1</db_id><data>\n"
        b"<_><a xsi:nil='true'/></_><_/><_><b>2</b></_ ><_/></data></xml>",
        [{"a": None}, {}, {"b": "2"}, {}],
    ),
}


def refuse_all(content: bytes, reason: str) -> bytes:
    reader = open_reader(content)
    rows = [reader.refused(row, reason, index == 0) for index, row in enumerate(reader.rows())]
    return reader.refused_head + b"".join(rows) + reader.refused_tail


@pytest.mark.parametrize("name", REFUSED)
def test_refused_rows_are_returned_in_the_format_of_the_input_and_read_again(name: str) -> None:
    content, expected = REFUSED[name]
    once = refuse_all(content, 'not "good", <or>\\')
    assert read(once) == expected
    assert b"_refused" in once
    twice = refuse_all(once, "second")
    assert read(twice) == expected
    assert b"good" not in twice
    assert twice.count(b"second") == len(expected)


def test_a_malformed_row_stays_as_it_was() -> None:
    assert refuse_all(b'{"a":1,}\n', "x") == b'{"_refused":"line 1: x","a":1,}\n'
    assert refuse_all(refuse_all(b'{"a":1,}\n', "x"), "y") == b'{"_refused":"line 1: y","a":1,}\n'
    assert refuse_all(b"a,b\n1\n", "x") == b'_refused,a,b\n"line 2: x",1\n'
    assert refuse_all(b'_refused,a,b\n"line 2: x",1\n', "y") == b'_refused,a,b\n"line 2: y",1\n'


# Writers

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=6)
    | st.sampled_from(["", " ", "\r\n", "a\rb", '"', "=1+1", "<&>]]>", "\u2028"])
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(
    lambda x: x != "_refused"
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=8,
)
rows_of_json = st.lists(st.dictionaries(names, values, min_size=1, max_size=4), min_size=1, max_size=4)


def written(writer: RowWriter, rows: Sequence[dict[str, Any]]) -> bytes:
    return writer.head + b"".join(writer.row(row, index == 0) for index, row in enumerate(rows)) + writer.tail


@pytest.mark.law
@pytest.mark.parametrize("writer", [NdjsonWriter(), JsonWriter(), XmlWriter({"db_id": "1"})])
@given(rows=rows_of_json)
@example(rows=[{"a": [[]]}, {"a": [""]}, {"a": [None]}, {"a": [[], [""]]}, {"_": {"_x0041_": []}}, {"a": []}])
def test_what_is_written_is_read_again(writer: RowWriter, rows: list[dict[str, Any]]) -> None:
    format = type(writer).__name__.removesuffix("Writer").lower()
    found = read(written(writer, rows), format, max_row=1 << 20)
    assert json.dumps([plain(each) for each in found]) == json.dumps([plain(each) for each in rows])


def plain(value: Any) -> Any:
    """Return a value with the numbers that JSON has: 5.0 is 5; of XML's typed texts the values."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in sorted(value.items())}
    if isinstance(value, list):
        return [plain(each) for each in value]
    value = getattr(value, "value", value)
    return int(value) if isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**63 else value


@pytest.mark.law
@given(
    cells=st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.none()] * 3
        ),
        min_size=1,
    ),
    sign=st.sampled_from([",", ";", "\t"]),
)
@example(cells=[(None, None, None), ("", "", ""), ('"', "\r", "\n"), ("sep=;", "a", " ")], sign=",")
def test_texts_in_csv_are_exact(cells: list[tuple[str | None, ...]], sign: str) -> None:
    rows = [{name: cell for name, cell in zip("abc", row, strict=True) if cell is not None} for row in cells]
    content = written(CsvWriter("abc", sign), rows)
    assert read(content, "csv", delimiter=sign) == rows


def test_xml_refuses_what_it_cannot_represent() -> None:
    for value in ({}, "\x01", [{"a": {}}], {"": 1}):
        with pytest.raises(ValueError, match="XML cannot represent"):
            XmlWriter({}).row({"a": value}, True)


def test_formulas_get_an_apostrophe_for_spreadsheets_alone() -> None:
    row = {"a": "=1+1", "b": "+7951", "c": "x"}
    assert CsvWriter("abc").row(row, True) == b"=1+1,+7951,x\r\n"
    assert CsvWriter("abc", is_for_spreadsheets=True).row(row, True) == b"'=1+1,'+7951,x\r\n"
