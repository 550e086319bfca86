"""Compares the response to a case, and the profiles in the store after it, with what the case expects. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.testkit.case import MEDIA_TYPES, Case
from gateway.testkit.comparison import (
    ABSENT,
    Difference,
    ParsedBody,
    find_differences,
    find_xml_differences,
    parse_body,
)
from gateway.testkit.matchers import is_matcher

Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CaseResponse:
    """The response of a server to a case. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class UnreadableResponse(ValueError):
    """A response that cannot be parsed, and therefore not be compared."""


def check_response(case: Case, response: CaseResponse, profiles: Rows | None = None) -> list[Difference]:
    """Return where a response differs from the expectations of its case.

    `profiles` are those in the store afterwards; None where the store is not accessible. Raises `UnreadableResponse`.
    """
    found = [*_check_status(case, response), *_check_headers(case, response), *_check_body(case, response)]
    return found if profiles is None else [*found, *_check_profiles(case, profiles)]


def _check_status(case: Case, response: CaseResponse) -> Iterator[Difference]:
    if response.status != case.about["status"]:
        yield Difference("status", "", case.about["status"], response.status)


def _check_headers(case: Case, response: CaseResponse) -> Iterator[Difference]:
    for name, value in case.about.get("response_headers", {}).items():
        actual = response.headers.get(name.lower(), ABSENT)
        yield from find_differences(ParsedBody(value, True), ParsedBody(actual, True), f"header {name}")


def _check_body(case: Case, response: CaseResponse) -> Iterator[Difference]:
    media, body = case.expected
    expected, actual = parse_body(media, body), _parse_response(case, response)
    found = list(find_differences(expected, actual, "answer", exact=True))
    if found or not media == case.reply == "xml" or actual.tree is ABSENT:
        yield from found
    else:
        yield from find_xml_differences(body, response.body)


def _parse_response(case: Case, response: CaseResponse) -> ParsedBody:
    try:
        return parse_body(case.reply, response.body)
    except ValueError as error:
        content_type = response.headers.get("content-type", "without a Content-Type")
        expected = MEDIA_TYPES[case.reply]
        reason = f"the answer ({response.status}, {content_type}) cannot be read as {expected}: {error}"
        raise UnreadableResponse(reason) from None


def _check_profiles(case: Case, profiles: Rows) -> Iterator[Difference]:
    if is_matcher(case.after):
        return
    expected, actual = ({row["id"]: row["document"] for row in rows} for rows in (case.after, profiles))
    yield from find_differences(ParsedBody(expected, True), ParsedBody(actual, True), "profiles", exact=True)
