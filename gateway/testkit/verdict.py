"""Judges what came of a case: the answer, and the profiles that it left. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.testkit.case import MEDIA_TYPES, Case
from gateway.testkit.comparison import ABSENT, Difference, Meaning, differences, meaning, spelled_apart
from gateway.testkit.matchers import is_mask

Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Garbage(ValueError):
    """An answer that cannot be read, and so not be judged."""


def judge(case: Case, answer: Answer, profiles: Rows | None = None) -> list[Difference]:
    """Where a case and what came of it differ; `profiles` are those it left, None where nobody could look.

    Raises `Garbage`.
    """
    found = [*_of_status(case, answer), *_of_headers(case, answer), *_of_body(case, answer)]
    return found if profiles is None else [*found, *_of_profiles(case, profiles)]


def _of_status(case: Case, answer: Answer) -> Iterator[Difference]:
    if answer.status != case.about["status"]:
        yield Difference("status", "", case.about["status"], answer.status)


def _of_headers(case: Case, answer: Answer) -> Iterator[Difference]:
    for name, value in case.about.get("response_headers", {}).items():
        got = answer.headers.get(name.lower(), ABSENT)
        yield from differences(Meaning(value, True), Meaning(got, True), f"header {name}")


def _of_body(case: Case, answer: Answer) -> Iterator[Difference]:
    media, body = case.expected
    expected, got = meaning(media, body), _understood(case, answer)
    found = list(differences(expected, got, "answer", exact=True))
    if found or not media == case.reply == "xml" or got.tree is ABSENT:
        yield from found
    else:
        yield from spelled_apart(body, answer.body)


def _understood(case: Case, answer: Answer) -> Meaning:
    try:
        return meaning(case.reply, answer.body)
    except ValueError as reason:
        sent = answer.headers.get("content-type", "without a Content-Type")
        wanted = MEDIA_TYPES[case.reply]
        raise Garbage(f"the answer ({answer.status}, {sent}) cannot be read as {wanted}: {reason}") from None


def _of_profiles(case: Case, profiles: Rows) -> Iterator[Difference]:
    if is_mask(case.after):
        return
    expected, got = ({row["id"]: row["document"] for row in rows} for rows in (case.after, profiles))
    yield from differences(Meaning(expected, True), Meaning(got, True), "profiles", exact=True)
