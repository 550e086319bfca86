"""The pure core by its tables in `fixtures/functions` and `fixtures/matching`, and by laws."""

import json
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import matching, normalization, result_cache
from gateway.core.apply import merge_patch
from gateway.core.difference import difference, json_equal
from gateway.core.faults import CATALOG
from gateway.core.numbers import INTEGERS
from gateway.core.pointer import join_pointer, split_pointer, value_at
from gateway.core.times import format_time, parse_time
from gateway.core.update_functions import FUNCTIONS
from gateway.schema.files import load_schema
from gateway.schema.profile_annotations import profile_tables
from tests.cases import FIXTURES

TABLES = profile_tables(load_schema("profile"), {"customer_id": {"type": "string", "x-identifier": True}})

integers = st.integers(INTEGERS[0], INTEGERS[-1])
similar_values = st.recursive(
    st.sampled_from([None, False, True, 0, 1, 0.0, -0.0, 1.0, "", "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
json_values = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(max_size=3), json_values, max_size=4)


def rows(*path: str) -> list[Any]:
    return json.loads(FIXTURES.joinpath(*path).read_text())


def exactly(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def function_rows() -> list[Any]:
    return [
        pytest.param(name, row, id=f"{name} {row['says']}")
        for name in FUNCTIONS
        for row in rows("functions", f"{name}.json")
    ]


@pytest.mark.parametrize(("name", "row"), function_rows())
def test_function(name: str, row: dict[str, Any]) -> None:
    before = exactly(row["current"])
    arguments = {"submatch": row["submatch"]} if "submatch" in row else {}
    if "error" in row:
        with pytest.raises(ValueError, match=row["error"]):
            FUNCTIONS[name](row["current"], row["value"], **arguments)
    else:
        assert exactly(FUNCTIONS[name](row["current"], row["value"], **arguments)) == exactly(row["result"])
    assert exactly(row["current"]) == before


@pytest.mark.parametrize("row", rows("matching", "modes.json"), ids=lambda row: f"{row['mode']} {row['values']}")
def test_key(row: dict[str, Any]) -> None:
    faults = matching.match_faults(row, TABLES)
    if "fault" in row:
        assert faults[0].code == row["fault"]
    else:
        assert faults == []
        assert [list(identity) for identity in matching.match_identities(row, TABLES)] == row["key"]


def test_every_mode_has_a_row() -> None:
    assert {row["mode"] for row in rows("matching", "modes.json")} == set(matching.MODES)


@pytest.mark.parametrize("row", rows("matching", "identities.json"), ids=lambda row: row["says"])
def test_identities(row: dict[str, Any]) -> None:
    found = matching.identities(row["document"], TABLES)
    assert sorted(map(list, found)) == sorted(row["identities"])


# --- normal forms ---


@given(st.text(max_size=12), st.sampled_from(["example.com", "EXAMPLE.com", "münchen.de", "xn--mnchen-3ya.de"]))
def test_an_address_in_normal_form_is_its_own_normal_form(local: str, domain: str) -> None:
    once = normalization.email(f"{local}@{domain}")
    assert once is None or normalization.email(once) == once


@given(
    st.from_regex(r"[A-Za-z0-9._+-]{1,70}@[A-Za-z0-9.-]{1,70}", fullmatch=True)
    | st.from_regex(r"[A-Za-z0-9]{1,3}([._+-][a-z0-9]{1,3}){0,2}@([a-z0-9-]{1,5}\.){1,3}[a-zK0-9]{1,4}", fullmatch=True)
)
def test_a_plain_address_has_the_normal_form_that_the_library_gives(address: str) -> None:
    assert normalization.email(address) == normalization.any_email(address)


@pytest.mark.parametrize("sign", ["\u212a", "\uff4b", "\uff2b", "\u043a", "\u03ba"])
def test_a_letter_that_looks_like_k_is_not_k(sign: str) -> None:
    assert normalization.email(f"{sign}elvin@example.com") != normalization.email("kelvin@example.com")
    assert normalization.email(f"a@{sign}elvin.com") != normalization.email("a@kelvin.com")


def test_no_character_of_unicode_equals_an_ascii_one() -> None:
    for code in range(128, 0x30000):
        sign = chr(code)
        if unicodedata.category(sign) not in ("Cs", "Cn") and (found := normalization.email(f"x{sign}y@example.com")):
            assert not found.isascii(), hex(code)


@pytest.mark.parametrize(
    "value", ["+1-800-FLOWERS", "+1 212 555 1234 ext. 5", "+12125551234;ext=5", "+٧٩٥١١٠٥٩٠٠٠", "12", ""]
)
def test_what_would_become_another_number_is_none(value: str) -> None:
    assert normalization.phone(value) is None


def test_a_text_past_every_value_has_no_form_and_is_not_kept() -> None:
    seen: list[str] = []
    form = normalization.cache_results(lambda text: seen.append(text) or text)  # type: ignore[func-returns-value]
    answers = [
        form(text)
        for text in ("a" * normalization.MAX_TEXT_LENGTH, "a" * (normalization.MAX_TEXT_LENGTH + 1), "b", "b")
    ]
    assert answers == ["a" * normalization.MAX_TEXT_LENGTH, None, "b", "b"]
    assert seen == ["a" * normalization.MAX_TEXT_LENGTH, "b"]


def test_a_full_cache_keeps_what_is_still_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_cache, "CACHE_SIZE", 2)
    computed: list[str] = []
    look_up = result_cache.ResultCache(lambda text: computed.append(text) or text.upper()).__getitem__  # type: ignore[func-returns-value]
    assert [look_up(text) for text in "abcaacdeab"] == list("ABCAACDEAB")
    assert computed == ["a", "b", "c", "d", "e", "b"]


def test_a_result_that_is_cached_costs_no_call() -> None:
    calls: list[str] = []
    normalization.email("known@example.com")
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        normalization.email("known@example.com")
    finally:
        sys.setprofile(None)
    assert calls == []


# --- merge and difference ---


@given(documents, documents)
def test_the_difference_leads_from_one_document_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    document = json.loads(json.dumps(before))
    for step in difference(before, after):
        *path, name = split_pointer(step["path"])
        holder = document
        for each in path:
            holder = holder[each]
        if step["op"] == "remove":
            del holder[name]
        else:
            assert (step["op"] == "add") == (name not in holder)
            holder[name] = step["value"]
    assert exactly(document) == exactly(after)


@given(similar_values, similar_values)
def test_values_are_equal_if_their_json_is(one: Any, other: Any) -> None:
    assert json_equal(one, other) == (exactly(one) == exactly(other))


@given(documents)
def test_no_difference_from_itself(document: dict[str, Any]) -> None:
    assert difference(document, json.loads(json.dumps(document))) == []


MERGES = [  # the examples of RFC 7396, appendix A
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), MERGES)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    before = exactly(target)
    assert exactly(merge_patch(target, patch)) == exactly(result)
    assert exactly(target) == before


@given(st.lists(st.text(), max_size=4))
def test_a_pointer_leads_back_to_its_names(names: list[str]) -> None:
    assert split_pointer(join_pointer(*names)) == names


@pytest.mark.parametrize(
    ("path", "value"),
    [("", {"a": [{"b": 1}, None]}), ("a 0 b", 1), ("a 1", None), ("a 2", None), ("a b", None), ("a 0 b c", None)],
)
def test_a_path_leads_to_its_value_or_to_none(path: str, value: Any) -> None:
    assert value_at({"a": [{"b": 1}, None]}, path.split()) == value


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_leads_back_to_its_milliseconds(milliseconds: int) -> None:
    assert parse_time(format_time(milliseconds)) == milliseconds


def test_a_time_without_an_offset_is_in_utc() -> None:
    assert parse_time("2026-01-02T00:00:01") == parse_time("2026-01-02T02:00:01+02:00") == 1_767_312_001_000


def test_every_fault_has_a_status_that_is_a_refusal() -> None:
    assert all(400 <= row.status <= 599 and row.text for row in CATALOG.values())
