"""Case folders, masks and comparisons: which differences count, which do not, and how what cannot be run is named."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from gateway import media
from gateway.cli.main import main
from gateway.testkit.case import InvalidCase, read_cases, untranslatable_reason
from gateway.testkit.comparison import ABSENT, ParsedBody, find_differences, find_xml_differences, parse_body
from gateway.testkit.server_thread import ServerThread
from gateway.testkit.xml_translation import translate_to_xml

CASE = {"method": "POST", "path": "/api/v1.1/profiles/import", "status": 200}
REQUEST = {
    "token": "abcdefghijklmnqrstuvwxyz",
    "db_id": 1,
    "email": "a@example.com",
    "data": {"email": "a@example.com"},
}
RESPONSE = {"error": 0, "error_text": {"$type": "string"}, "profile_id": {"$pattern": "^[0-9a-f]{24}$"}}
AN_INTEGER = "expected a value of type integer"
AFTER = [{"id": f"{0xA1:024x}", "document": {"email": "a@example.com"}}]
FILES = {"case.json": CASE, "request.json": REQUEST, "response.json": RESPONSE, "after.json": AFTER}


def folder(tmp_path: Path, name: str = "imports-a-profile", **changed: Any) -> Path:
    """A case's folder; `changed` are files by name with `_` for the dot, None for one that is not there."""
    made = tmp_path / name
    made.mkdir()
    given = FILES | {name.replace("_", "."): content for name, content in changed.items()}
    for file, content in given.items():
        if content is not None:
            (made / file).write_text(content if isinstance(content, str) else json.dumps(content))
    return made


def check(path: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", str(path), *options])


def differences(expected: str, got: str, how: str = "json json", exact: bool = False) -> list[str]:
    mine, theirs = how.split()
    sides = parse_body(mine, expected.encode()), parse_body(theirs, got.encode())
    return [str(each) for each in find_differences(*sides, "answer", exact)]


# --- meaning ---


@pytest.mark.parametrize(
    ("expected", "got", "how"),
    [
        ('{"a": 1, "b": true, "c": null}', "<xml><c/><b>true</b><a>1</a></xml>", "json xml"),
        ('{"a": [], "b": {}, "c": [""]}', "<xml><a array='true'/><b/><c><_/></c></xml>", "json xml"),
        ('{"a": ["x"], "b": "0123"}', "<xml><a>x</a><b>0123</b></xml>", "json xml"),
        ('{"a": 5}', "<xml><a>5.0</a></xml>", "json xml"),
        ("<xml><a>1</a><b>x</b></xml>", '{"a": 1, "b": "x"}', "xml json"),
        ("<xml><a>1</a></xml>", "<xml>\n  <a>1</a>\n</xml>", "xml xml"),
        ('{"id": {"$any": true}}', '{"id": null}', "json json"),
        ('{"id": {"$pattern": "^a"}}', "<xml><id>abc</id></xml>", "json xml"),
        ('{"n": {"$type": "integer"}, "l": {"$type": "array"}}', "<xml><n> 7 </n><l>x</l></xml>", "json xml"),
        ("<xml><n><_x0024_type>integer</_x0024_type></n></xml>", '{"n": 7}', "xml json"),
        ("<xml><n><_x0024_pattern>^7</_x0024_pattern></n></xml>", "<xml><n>77</n></xml>", "xml xml"),
        ('{"a": {"$value": {"$type": "Point"}}}', '{"a": {"$type": "Point"}}', "json json"),
        ('{"a": {"$value": {"$any": true}}}', "<xml><a><_x0024_any>true</_x0024_any></a></xml>", "json xml"),
        ('{"$value": {"$value": {"$type": "integer"}}}', '{"$value": 7}', "json json"),
        ("", "", "json xml"),
    ],
)
def test_means_the_same(expected: str, got: str, how: str) -> None:
    assert differences(expected, got, how) == []


@pytest.mark.parametrize(
    ("expected", "got", "how", "words"),
    [
        ('{"a": 1}', '{"a": "1"}', "json json", 'answer /a: expected 1, got "1"'),
        ('{"a": 1}', '{"a": true}', "json json", "answer /a: expected 1, got true"),
        ('{"a": true}', "<xml><a>yes</a></xml>", "json xml", 'answer /a: expected true, got "yes"'),
        ('{"a": "0123"}', "<xml><a>123</a></xml>", "json xml", 'answer /a: expected "0123", got "123"'),
        ('{"a": [1, 2]}', '{"a": [1]}', "json json", "answer /a/1: expected 2, got nothing"),
        ('{"a": {"x/y": 1}}', '{"a": {}}', "json json", "answer /a/x~1y: expected 1, got nothing"),
        ("{}", '{"b": null}', "json json", "answer /b: expected nothing, got null"),
        ('{"a": 1}', "", "json json", 'answer: expected {"a": 1}, got nothing'),
        (
            '{"a": {"$type": "integer"}}',
            '{"a": 1.5}',
            "json json",
            f"answer /a: {AN_INTEGER}, got 1.5",
        ),
        (
            '{"a": {"$type": "integer"}}',
            '{"a": "7"}',
            "json json",
            f'answer /a: {AN_INTEGER}, got "7"',
        ),
        ('{"a": {"$any": true}}', "{}", "json json", "answer /a: expected any value, got nothing"),
        ('{"a": {"$pattern": "^x$"}}', '{"a": 5}', "json json", "answer /a: expected a text that matches ^x$, got 5"),
        ("<xml><a>1</a></xml>", '{"a": 2}', "xml json", "answer /a: expected 1, got 2"),
        (
            '{"a": {"$value": {"$any": true}}}',
            '{"a": {"$any": 5}}',
            "json json",
            "answer /a/$any: expected true, got 5",
        ),
        (
            '{"a": {"$value": {"$any": true}}}',
            '{"a": 5}',
            "json json",
            'answer /a: expected {"$value": {"$any": true}}, got 5',
        ),
    ],
)
def test_reports_where_two_differ(expected: str, got: str, how: str, words: str) -> None:
    assert differences(expected, got, how) == [words]


def test_distinguishes_an_integer_from_a_fraction_only_where_it_is_to_be_exact() -> None:
    assert differences('{"a": 5}', '{"a": 5.0}') == []
    assert differences('{"a": 5}', '{"a": 5.0}', exact=True) == ["answer /a: expected 5, got 5.0"]


def test_shows_a_long_text_where_it_differs() -> None:
    (line,) = differences(json.dumps("a" * 500 + "x"), json.dumps("a" * 500 + "y"))
    assert "ax" in line
    assert "ay" in line
    assert len(line) < 500


@pytest.mark.parametrize(
    "got",
    [
        "<xml><b>2</b><a array='true'>1</a></xml>",
        "<xml><a array='true'>1</a><b x='y'>2</b></xml>",
        "<xml><b>2</b></xml>",
    ],
)
def test_reports_where_xml_is_written_in_another_way(got: str) -> None:
    expected = b"<xml>\n <a array='true'>1</a> <b>2</b>\n</xml>"
    assert list(find_xml_differences(expected, b"<xml><a array='true'>1</a><b>2</b></xml>")) == []
    assert len(list(find_xml_differences(expected, got.encode()))) == 1


@pytest.mark.parametrize("body", ['{"a": 1, "a": 2}', "{", "[" * 100_000, "NaN", '{"a": Infinity}'])
def test_refuses_json_that_has_no_one_meaning(body: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_body("json", body.encode())


leaves = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=8
    )
)
names = st.from_regex(r"[a-zA-Z_$ /~][a-z0-9 .-]{0,5}", fullmatch=True)
trees = st.dictionaries(
    names,
    st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)),
    max_size=4,
)


@pytest.mark.law
@given(trees)
def test_a_tree_means_in_xml_what_it_means_in_json(tree: dict[str, Any]) -> None:
    in_xml = parse_body("xml", media.CODECS[1].encode(tree))
    assert list(find_differences(ParsedBody(tree, True), in_xml, "answer")) == []
    assert list(find_differences(in_xml, ParsedBody(tree, True), "answer")) == []


@pytest.mark.law
@given(trees, trees)
def test_two_trees_that_differ_in_json_differ_across_media_types(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    apart = list(find_differences(ParsedBody(mine, True), ParsedBody(theirs, True), "answer"))
    if any(not isinstance(each.expected, str) and each.got is not ABSENT for each in apart):
        return  # text spells other types too: only a declared type separates these
    in_xml = parse_body("xml", media.CODECS[1].encode(theirs))
    assert bool(list(find_differences(ParsedBody(mine, True), in_xml, "answer"))) == bool(apart)


# --- reading folders ---


@pytest.mark.parametrize(
    ("changed", "file", "words"),
    [
        ({"case_json": "{"}, "case.json", "it is not JSON"),
        ({"case_json": {**CASE, "metod": "GET"}}, "case.json", "/metod there is no such member"),
        ({"case_json": {"method": "POST", "path": "x", "status": 999}}, "case.json", "/path"),
        ({"case_json": {**CASE, "response_headers": {"a": {"$pat": "x"}}}}, "case.json", "/response_headers/a"),
        ({"case_json": ""}, "case.json", "it is empty"),
        ({"case_json": {**CASE, "path": "/a\nb"}}, "case.json", "/path"),
        ({"case_json": {**CASE, "path": "/a#b"}}, "case.json", "/path"),
        ({"case_json": {**CASE, "path": "//a"}}, "case.json", "/path"),
        ({"case_json": {**CASE, "headers": {"X": "\u0436"}}}, "case.json", "/headers/X"),
        ({"case_json": {**CASE, "headers": {"X": "a\r\nb: c"}}}, "case.json", "/headers/X"),
        ({"case_json": {**CASE, "headers": {"X Y": "a"}}}, "case.json", "/headers"),
        ({"response_json": None}, "response.json", "it is missing"),
        ({"response_json": '{"a": 1, "a": 2}'}, "response.json", "twice"),
        ({"response_json": {"id": {"$pattern": "["}}}, "response.json", "/id/$pattern"),
        ({"response_json": {"id": {"$type": "float"}}}, "response.json", "/id/$type"),
        ({"response_json": {"id": {"$any": 1}}}, "response.json", "/id/$any"),
        ({"response_xml": "<xml><a></xml>"}, "response.xml", "line 1"),
        ({"before_json": [{"id": "a"}]}, "before.json", "/0/document it is missing"),
        ({"before_json": [{"id": "a", "document": {"email": 5}}]}, "before.json", "/0/document/email"),
        ({"before_json": [{"id": "a", "document": {}}, {"id": "a", "document": {}}]}, "before.json", "the id a"),
        ({"after_json": {"$any": False}}, "after.json", "/$any"),
        ({"respones_json": {}}, "respones.json", "no file of a case is called so"),
    ],
)
def test_names_the_file_and_what_is_wrong_with_it(
    tmp_path: Path, changed: dict[str, Any], file: str, words: str
) -> None:
    with pytest.raises(InvalidCase) as refused:
        read_cases(folder(tmp_path, **changed))
    assert refused.value.file.name == file
    assert words in refused.value.reason


@pytest.mark.parametrize("name", ["request.json", "response.json", "after.json"])
def test_what_is_called_like_a_file_is_one(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path)
    (made / name).unlink(missing_ok=True)
    (made / name).symlink_to("nowhere")
    with pytest.raises(InvalidCase) as refused:
        read_cases(made)
    assert (refused.value.file.name, refused.value.reason) == (name, "it is no file")


def test_sends_a_request_in_both_media_types_unless_the_case_names_one(tmp_path: Path) -> None:
    assert [case.media for case in read_cases(folder(tmp_path))] == ["json", "xml"]
    assert [case.media for case in read_cases(folder(tmp_path, "in-json", case_json={**CASE, "media": "json"}))] == [
        "json"
    ]
    in_xml = folder(tmp_path, "in-xml", request_json=None, request_xml="<xml/>")
    assert [case.media for case in read_cases(in_xml)] == ["xml"]


def test_writes_in_xml_whatever_the_gateway_accepts() -> None:
    batch = {"data": [{"email": f"{index}@example.com"} for index in range(10_001)], "text": "x" * 2_000_000}
    assert differences_in(batch, translate_to_xml(json.dumps(batch).encode())) == []


def differences_in(tree: Any, document: bytes) -> list[str]:
    return [str(each) for each in find_differences(ParsedBody(tree, True), parse_body("xml", document), "request")]


@pytest.mark.parametrize("body", ['{"a": null}', '{"a": "\\u0001"}', '{"": 1}', "{"])
def test_writes_nothing_in_xml_that_would_mean_something_else(tmp_path: Path, body: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        translate_to_xml(body.encode())
    in_xml = read_cases(folder(tmp_path, request_json=body))[1]
    assert untranslatable_reason(in_xml).startswith("request.json cannot be translated to XML: ")


# --- the command ---


def test_passes_what_is_as_expected_in_both_media_types(tmp_path: Path) -> None:
    folder(tmp_path)
    result = check(tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("2 passed in ")


def test_shows_every_difference_and_fails(tmp_path: Path) -> None:
    folder(tmp_path, response_json={**RESPONSE, "error": 1}, after_json=[])
    result = check(tmp_path, "--media", "xml")
    assert result.exit_code == 1
    assert "imports-a-profile[xml]\n    answer /error: expected 1, got 0\n    profiles /00" in result.stdout
    assert "0 passed, 1 failed" in result.stdout
    assert "the answer is:" not in result.stdout


@pytest.mark.parametrize("media", ["json", "xml"])
def test_prints_the_whole_answer_where_the_status_differs(tmp_path: Path, media: str) -> None:
    folder(tmp_path, request_json={**REQUEST, "db_id": "no such\u009b"})
    result = check(tmp_path, "--media", media)
    assert result.exit_code == 1
    assert "\n    status: expected 200, got 400\n" in result.stdout
    answer = result.stdout.partition("\n    the answer is:\n    ")[2]
    assert answer.startswith('{"error":400' if media == "json" else "<?xml")
    assert "db_id" in answer
    assert result.stdout.isascii() or "\u009b" not in result.stdout


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"case_json": {**CASE, "settings": {"max_bodi": 5}}}, "case.json: /settings: "),
        ({"case_json": {**CASE, "settings": {"max_body": "5"}}}, "case.json: /settings: "),
        ({"case_json": {**CASE, "database": {"fields": {"type": 5}}}}, "case.json: /database/fields: "),
        ({"jobs_json": [{"profiles": [], "failures": []}]}, "jobs.json: "),
        ({"case_json": "[]"}, "case.json: "),
    ],
)
def test_runs_the_others_where_one_cannot_be_run(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    folder(tmp_path, "broken", **changed)
    folder(tmp_path)
    result = check(tmp_path, "--media", "json")
    assert result.exit_code == 2
    assert words in result.stdout
    assert "1 passed, 1 broken" in result.stdout


def test_names_a_server_that_is_away_or_answers_garbage(tmp_path: Path, host: ServerThread) -> None:
    async def garbage(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>Bad\x1b[31m gateway\nnow"})

    folder(tmp_path)
    away = check(tmp_path, "--url", "http://127.0.0.1:1")
    assert (away.exit_code, "http://127.0.0.1:1 does not answer" in away.stdout) == (2, True)
    host._app = garbage  # type: ignore[assignment]
    answered = check(tmp_path, "--url", host.url, "--media", "json")
    assert answered.exit_code == 2
    assert "the answer (502, text/html) cannot be read as application/json" in answered.stdout
    assert "\n    the answer is:\n    <html>Bad\ufffd[31m gateway\n    now\n" in answered.stdout


def test_runs_cases_against_a_server_at_a_url_and_skips_what_it_cannot_set(tmp_path: Path, host: ServerThread) -> None:
    seen = []

    async def server(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]))
        seen.append(json.loads((await receive())["body"]))
        body = json.dumps({"error": 0, "error_text": "", "profile_id": "0" * 24}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    folder(tmp_path)
    folder(tmp_path, "updates-a-profile", before_json=[])
    host._app = server  # type: ignore[assignment]
    options = "--url", host.url, "--media", "json", "--header", "Authorization: Bearer x", "--token", "real"
    result = check(tmp_path, *options)
    assert result.exit_code == 0, result.stdout
    assert "1 passed, 1 skipped" in result.stdout
    assert "it begins with before.json, which cannot be set on a server at a URL" in result.stdout
    assert seen[0][b"authorization"] == b"Bearer x"
    assert seen[1] == {**REQUEST, "token": "real"}
    assert seen[0][b"host"].startswith(b"127.0.0.1:")


def test_a_matcher_accepts_whatever_profiles_are_left(tmp_path: Path) -> None:
    folder(tmp_path, after_json={"$any": True})
    assert check(tmp_path).exit_code == 0


def test_a_known_gap_is_no_failure_until_it_is_closed(tmp_path: Path) -> None:
    gap = folder(tmp_path, case_json={**CASE, "status": 201})
    (gap / "xfail").write_text("not yet")
    (folder(tmp_path, "imports-another") / "xfail").write_text("not yet")
    result = check(tmp_path, "--media", "json")
    assert result.exit_code == 1
    assert "a known gap: not yet" in result.stdout
    assert "it passes: remove its file xfail" in result.stdout


def test_prints_that_nothing_was_checked(tmp_path: Path) -> None:
    empty = check(tmp_path)
    assert (empty.exit_code, "there is no case.json in" in empty.stderr) == (2, True)
    folder(tmp_path, before_json=[])
    assert check(tmp_path, "--url", "http://127.0.0.1:1").exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--header", "a: b"],
        ["--token", "a"],
        ["--url", "x"],
        ["--url", "http://x", "--header", "a"],
        ["--url", "http://x", "--header", "a: \u0436"],
        ["--url", "http://x", "--token", "\u0436"],
    ],
)
def test_refuses_options_without_effect(tmp_path: Path, options: list[str]) -> None:
    folder(tmp_path)
    assert check(tmp_path, *options).exit_code == 2


def test_writes_junit_xml_that_is_well_formed_whatever_a_value_is(tmp_path: Path) -> None:
    folder(tmp_path, "fails", response_json={**RESPONSE, "error_text": "\u0001 <&>]]> \ud83d\ude00"})
    folder(tmp_path, "broken", case_json="{")
    folder(tmp_path, "passes")
    folder(tmp_path, "says-null", request_json={**REQUEST, "data": {"_fname": None}})
    check(tmp_path, "--junit", str(tmp_path / "junit.xml"))
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7", "failures": "2", "errors": "1", "skipped": "1"
    }  # fmt: skip
    assert len(suite.findall("testcase/failure")) == 2


def test_serving_loads_nothing_of_this() -> None:
    loaded = "{'httpx', 'pytest', 'gateway.testkit'} & sys.modules.keys()"
    code = f"import sys, gateway.cli.main, gateway.server.app; sys.exit(len({loaded}))"
    subprocess.run([sys.executable, "-c", code], check=True)
