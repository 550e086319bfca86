"""Erasure of a person from the results of jobs, in every form in which a request may name the person."""

from typing import Any

import orjson
import pytest

from gateway.core.erasure import erase_from_job, may_name_person
from gateway.core.model import Erasure, Job

PERSON = Erasure(
    frozenset({"p1"}),
    frozenset(
        {
            ("id", "p1"),
            ("email", "ann@example.com"),
            ("phone", "+79210000001"),
            ("external_id", 'a"1'),
            ("custom/card", "7"),
            ("phone_sub@3", "+79210000002"),
        }
    ),
)
INTERNATIONAL = Erasure(frozenset({"p2"}), frozenset({("email", "zoë@xn--mller-kva.example")}))


def job_with(sent: Any) -> Job:
    fault = {"code": "invalid_field", "detail": "Zoe is wrong", "pointer": "/p", "profile": ""}
    return Job("j", 1, 1, 1, (), ({"index": 0, "faults": [fault], "sent": sent},))


@pytest.mark.parametrize(
    ("person", "sent"),
    [
        (PERSON, {"id": "p1"}),
        (PERSON, {"email": "Ann@EXAMPLE.com"}),
        (PERSON, {"attributes": {"phone_number": "+7 (921) 000-00-01"}}),
        (PERSON, {"phones": ["tel:+79210000002"]}),
        (PERSON, {"external_id": 'a"1'}),
        (PERSON, {"properties": {"card": 7}}),
        (INTERNATIONAL, {"email": "ZOË@müller.example"}),
        (INTERNATIONAL, {"email": "zoe\u0308@XN--MLLER-KVA.example"}),
    ],
)
def test_every_form_of_an_identity_is_erased(person: Erasure, sent: Any) -> None:
    job = job_with(sent)
    assert may_name_person(orjson.dumps(job).decode(), person)
    [failure] = erase_from_job(job, person).failures
    fault = {"code": "invalid_field", "detail": "", "pointer": "/p", "profile": ""}
    assert failure == {"index": 0, "faults": [fault], "sent": {}}


@pytest.mark.parametrize(
    "sent",
    [
        {"email": "joann@example.com"},
        {"phone": "+792100000011"},
        {"external_id": "a"},
        {"cards": 7},
        {"card": 77},
        None,
    ],
)
def test_other_persons_stay(sent: Any) -> None:
    job = job_with(sent)
    assert erase_from_job(job, PERSON) is job


def test_a_job_that_does_not_name_the_person_is_not_read() -> None:
    assert not may_name_person(orjson.dumps(job_with({"email": "bob@example.com"})).decode(), PERSON)
