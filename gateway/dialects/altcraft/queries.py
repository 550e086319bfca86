"""The `query` of `profiles/list`, as a condition. It is a part of MongoDB's query language.

XML names cannot begin with `$`, so a query may be the text of a JSON object.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.core.conditions import OWN
from gateway.core.excerpt import excerpt
from gateway.core.faults import Refusal, refuse
from gateway.core.times import format_time, parse_time
from gateway.dialects.altcraft.fields import COMPUTED_FIELDS, FIELDS
from gateway.dialects.altcraft.parameters import is_blank

MAX_LEVELS, MAX_CONDITIONS = 8, 100

Condition: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

PATHS: Mapping[str, Path] = {
    **FIELDS,
    **COMPUTED_FIELDS,
    **dict.fromkeys(("id", "_id"), (OWN, "id")),
    "_createtime": (OWN, "created"),
    "subscriptions": ("subscriptions",),
}
"""The places of the names of a query. Any other one is an own field."""

DATES = (FIELDS["_bdate"], FIELDS["_regdate"], PATHS["_createtime"])
"""The places of dates, which profiles have as text or as milliseconds since 1970."""

_GROUPS = {"$and": "all", "$or": "any", "$nor": "none"}
_TESTS = {
    "$eq": "equals",
    "$in": "is_one_of",
    "$all": "has_all",
    "$exists": "exists",
    "$size": "has_size",
    "$gt": "greater",
    "$gte": "greater_or_equal",
    "$lt": "less",
    "$lte": "less_or_equal",
}
_NEGATIONS = {"$ne": "$eq", "$nin": "$in"}
_ARGUMENTS: Mapping[str, type] = {
    **dict.fromkeys(("$in", "$nin", "$all"), list),
    "$size": int,
    "$exists": bool,
    "$elemMatch": dict,
}
"""The types of the arguments of operators that take no other ones."""


def parse_query(value: Any) -> Condition | None:
    """Return the condition of a query, None without one. Raises `Refusal`: invalid_parameter."""
    if value is None or is_blank(value):
        return None
    query = _parse_text(value) if isinstance(value, str) else value
    if not isinstance(query, dict):
        raise _refusal("it must be an object")
    return _Parser().parse_group(query)


def _parse_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _refusal("it must be an object, or the text of one in JSON") from None


def _refusal(detail: str) -> Refusal:
    return refuse("invalid_parameter", detail, "/query")


class _Parser:
    """Parses one query, and counts its conditions."""

    def __init__(self) -> None:
        self._conditions = 0

    def parse_group(self, query: Mapping[str, Any], place: Path = (), level: int = 1) -> Condition:
        """Return the condition of an object whose members are names or `$and`, `$or`, `$nor`. All of them hold.

        `place` is that of the list whose element the names belong to.
        """
        if level > MAX_LEVELS:
            raise _refusal(f"it has more than {MAX_LEVELS} levels")
        conditions: list[Condition] = []
        for name, value in query.items():
            if name in _GROUPS:
                conditions.append(self._parse_list(name, value, place, level))
            elif name.startswith("$"):
                raise _refusal(f"{excerpt(name)} is not an operator that is supported here")
            else:
                path = _path(name) if not place else tuple(name.split("."))
                conditions += self._parse_field(path, value, level)
        return {"all": conditions}

    def _parse_list(self, operator: str, value: Any, place: Path, level: int) -> Condition:
        if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
            raise _refusal(f"{operator} needs a list of objects")
        return {_GROUPS[operator]: [self.parse_group(each, place, level + 1) for each in value]}

    def _parse_field(self, path: Path, value: Any, level: int) -> Iterator[Condition]:
        """Yield the conditions on a field: those of an object of operators, or equality."""
        has_operators = isinstance(value, dict) and any(name.startswith("$") for name in value)
        for operator, argument in value.items() if has_operators else (("$eq", value),):
            yield self._parse_operator(path, operator, argument, level)

    def _parse_operator(self, path: Path, operator: str, argument: Any, level: int) -> Condition:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise _refusal(f"it has more than {MAX_CONDITIONS} conditions")
        needed = _ARGUMENTS.get(operator)
        if needed and type(argument) is not needed:
            raise _refusal(f"{operator} needs {_TYPE_NAMES[needed]}")
        if operator == "$not":
            if not isinstance(argument, dict) or level >= MAX_LEVELS:
                raise _refusal("$not needs an object of operators")
            return {"none": [{"all": list(self._parse_field(path, argument, level + 1))}]}
        if operator == "$elemMatch":
            return {"path": path, "test": "has_element", "value": self._parse_element(path, argument, level + 1)}
        if operator in _NEGATIONS:
            return {"none": [_condition(path, _TESTS[_NEGATIONS[operator]], argument)]}
        if operator not in _TESTS:
            raise _refusal(f"{excerpt(operator)} is not an operator that is supported here")
        return _condition(path, _TESTS[operator], argument)

    def _parse_element(self, path: Path, argument: Mapping[str, Any], level: int) -> Condition:
        """Return the condition on an element of a list: of its members, or of the element itself."""
        if any(name.startswith("$") and name not in _GROUPS for name in argument):
            return {"all": list(self._parse_field((), argument, level))}
        return self.parse_group(argument, path, level)


_TYPE_NAMES = {list: "a list", int: "an integer", bool: "true or false", dict: "an object"}


def _condition(path: Path, test: str, argument: Any) -> Condition:
    if path not in DATES or test in ("exists", "has_size"):
        return {"path": path, "test": test, "value": argument}
    forms = _date_forms(argument)
    return {"any": [{"path": path, "test": test, "value": form} for form in forms]}


def _date_forms(value: Any) -> Sequence[Any]:
    """Return a date in both forms that profiles may have it in; of a list, all in either."""
    if isinstance(value, list):
        return [[form for each in value for form in _date_forms(each)]]
    try:
        if isinstance(value, str):
            return value, parse_time(value)
        return (value, format_time(value)) if isinstance(value, int) else (value,)
    except (ValueError, OverflowError):
        return (value,)


def _path(name: str) -> Path:
    """Return the place of a name. Dots lead down."""
    first, *rest = name.split(".")
    return (*PATHS.get(first, ("custom", first)), *rest)
