"""The conditions of a search, on values of every type."""

from typing import Any

import pytest

from gateway.core.conditions import meets

VALUE = {
    "text": "Ann",
    "number": 5,
    "flag": True,
    "null": None,
    "date": "2026-01-01T03:00:00+03:00",
    "tags": ["a", "b"],
    "rows": [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}],
    "empty": [],
}

ROWS: list[tuple[list[str], str, Any, bool]] = [
    (["text"], "equals", "Ann", True),
    (["text"], "equals", "ann", False),
    (["number"], "equals", 5.0, True),
    (["number"], "equals", "5", False),
    (["flag"], "equals", 1, False),
    (["null"], "equals", None, True),
    (["absent"], "equals", None, True),
    (["text"], "equals", None, False),
    (["absent"], "equals", "", False),
    (["tags"], "equals", "b", True),
    (["tags"], "equals", ["a", "b"], True),
    (["tags"], "equals", ["b", "a"], False),
    (["rows", "n"], "equals", 2, True),
    (["rows", "n"], "equals", 3, False),
    (["rows", "n", "deeper"], "equals", 3, False),
    (["text"], "is_one_of", ["Bob", "Ann"], True),
    (["absent"], "is_one_of", [None], True),
    (["text"], "is_one_of", [], False),
    (["tags"], "has_all", ["b", "a"], True),
    (["tags"], "has_all", ["a", "c"], False),
    (["tags"], "has_all", [], False),
    (["number"], "greater", 4.5, True),
    (["number"], "greater", 5, False),
    (["number"], "greater_or_equal", 5, True),
    (["number"], "less", "6", False),
    (["flag"], "less", 6, False),
    (["text"], "less", "Ben", True),
    (["absent"], "less", "Ben", False),
    (["tags"], "less_or_equal", "a", True),
    (["date"], "equals", "2026-01-01", True),
    (["date"], "greater", "2025-12-31T23:59:59Z", True),
    (["date"], "less", "text", False),
    (["text"], "exists", True, True),
    (["null"], "exists", True, True),
    (["absent"], "exists", False, True),
    (["absent"], "exists", True, False),
    (["tags"], "has_size", 2, True),
    (["empty"], "has_size", 0, True),
    (["text"], "has_size", 3, False),
    (["rows"], "has_element", {"all": [{"path": ["n"], "test": "equals", "value": 1}]}, True),
    (["tags"], "has_element", {"path": [], "test": "greater", "value": "a"}, True),
    (["empty"], "has_element", {"all": []}, False),
]


@pytest.mark.parametrize(("path", "test", "argument", "is_met"), ROWS)
def test_a_condition(path: list[str], test: str, argument: Any, is_met: bool) -> None:
    condition = {"path": path, "test": test, "value": argument}
    assert meets(VALUE, condition) == is_met
    assert meets(VALUE, {"none": [condition]}) != is_met
    assert meets(VALUE, {"any": [condition, {"path": ["text"], "test": "exists", "value": False}]}) == is_met


def test_one_element_meets_all_conditions() -> None:
    def both(n: int, s: str) -> dict[str, Any]:
        parts = [{"path": ["n"], "test": "equals", "value": n}, {"path": ["s"], "test": "equals", "value": s}]
        return {"path": ["rows"], "test": "has_element", "value": {"all": parts}}

    assert meets(VALUE, both(1, "x"))
    assert not meets(VALUE, both(1, "y"))
