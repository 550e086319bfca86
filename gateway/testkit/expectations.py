"""Compares the response to a case, and the profiles in the store after it, with what the case expects. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import media
from gateway.core.faults import Refusal
from gateway.media import charsets
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

    @property
    def charset(self) -> str | None:
        """The charset of the Content-Type, if that is a supported media type."""
        try:
            return media.codec_for(self.headers.get("content-type"))[1]
        except Refusal:
            return None

    @property
    def lines(self) -> list[str]:
        """The body as lines of printable text."""
        try:
            text = charsets.to_utf8(self.body, self.charset).decode()
        except Refusal:
            text = self.body.decode("utf-8", "replace")
        return ["".join(each if each.isprintable() else "\ufffd" for each in line) for line in text.splitlines()]


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
    form, body = case.expected
    expected, actual = parse_body(form, body), _parse_response(case, response)
    found = list(find_differences(expected, actual, "answer", exact=True))
    if found or not form == case.reply == "xml" or actual.tree is ABSENT:
        yield from found
    else:
        yield from find_xml_differences(body, response.body, response.charset)


def _parse_response(case: Case, response: CaseResponse) -> ParsedBody:
    try:
        return parse_body(case.reply, response.body, response.charset)
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
