"""Hooks of schemathesis for this contract. They run in its own environment, which has the gateway, too."""

import json
import re
import time
from datetime import date
from typing import Any

import schemathesis
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.core.matching import MODES
from gateway.dialects import load_dialects
from gateway.media import xml
from gateway.openapi.files import contracts

DOCUMENT = json.loads(contracts(load_dialects({}))["openapi.json"])

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)
PHONES = st.integers(2000000, 9999999).map(lambda number: f"+1202{number}")
FORMATS = {
    "phone": PHONES,
    "phone-digits": PHONES,
    "email": NAMES.map(lambda name: f"{name}@example.com"),
    "ip": st.ip_addresses().map(str),
    "moment": st.dates().map(str),
    "recent-moment": st.dates(date(1990, 1, 2), date.today()).map(str),
    "degrees": st.integers(-90, 90).map(str),
}
for name, strategy in FORMATS.items():
    schemathesis.openapi.format(name, strategy)

BEYOND = re.compile(
    "|".join(
        (
            "outside signed 64 bits",  # I-JSON's bound, for every number of a body
            r'-?\d{19,}\\?" is not a date',  # the same of a number in XML
            "needs an? [a-z ]+, the field holds",  # what is there already, or is written beside it
            r"matching \w+ needs ",  # which may stand in data too
            r"a new profile must bring what matching \w+ searches",
            "it must hold the same as",
            "At least one identifier is required",  # which may stand in meta too
            "exactly one of email, phone_number and id",
            "cannot be merged into itself|has no relation to itself|it must be another profile than the destination",
            ", as in the path|it must be the (token|id) of the path",
            "(email|sms|whatsapp) needs it",  # an address beside the channels
            "with historical_import alone|a historical import needs it|it must be in the past",
            # Formats of ours: the generator follows them where it draws a text, not where it copies one from a reply.
            "is not (an international phone number|a date or time|an IP address|a number of degrees)",
            "from 1990 on, at most a year ahead|it must not be before date_from",
            # Which the URL may have too.
            r'"db_id\\?" is not valid: it is missing|at least one field of the profile is needed',
            "or an own field of the request",
            "is not declared as an identifier",  # which depends on the database
            r'"query\\?" is not valid: ',  # the language of queries
            "The cursor is not valid",
            "urn:profile-gateway:(unknown_cursor|expired_cursor|expired_history)",  # which depend on the store
            "its host has|it must have from 24 to 64 bytes|it must begin with https://",  # of a webhook
            "it must be a URL with a host|it is for [a-z, ]+ alone|json, or xml for altcraft",  # of a relay
            "Invalid filter: |cannot be filtered by|must be compared with a date",
            "the value there is another|there is no such place|it cannot be done there|what it leaves is not an object",
        )
    )
)
"""Details of refusals by rules that JSON Schema cannot express: a request of the contract may break one of them."""

REPORTED_INSIDE = re.compile(
    "|".join(
        (
            '"outcome":"refused"|<outcome>refused',  # of a dry run
            '"failed_count":[1-9]|<failed_count>[1-9]',  # of an import, whose bad elements fail alone
            '"error":[45]|<error>[45]',  # of a row of a batch
            r'"errors":\[\{"topic_id"|<errors[^>]*><topic_id',  # of one topic of many
            r'^\{"errors":\[\{"message":"',  # of GraphQL, whose replies with errors have the status 200
        )
    )
)
"""Refusals inside a reply whose status is success."""

MATCH_VALUE = re.compile(
    r"in body - (?:(?:source|destination) -> (?:Array with invalid items: )?)?"
    r"(email|phone|profile_id|provider|subscription_id|field_name|field_value): "
)
"""A value that some modes of `matching` need. The others ignore it, as the contract says."""

UNKNOWN_PARAMETER = "in query - object with unexpected properties"
"""The contract says that unknown parameters are ignored."""

EMPTY = "it is missing"
"""The detail for an empty element of XML where JSON has an empty text: a value of several types is absent then."""

UNDECLARED = "it is not declared"
"""The detail for a member that remains after a JSON Patch: no contract describes the result of a patch."""

A_TIME = re.compile(r"\d{1,18}|\d{4}-\d\d-\d\d[Tt ].*")
NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NULL = "\ue000null\ue000"
NULL_ELEMENT = re.compile(rf"<([^<> ]+)([^<>]*)>{NULL}</\1>")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@schemathesis.serializer("application/xml")
def in_xml(_context: Any, value: Any) -> bytes:
    """Return a body as the gateway itself writes one, but with `xsi:nil` for nulls: an empty element is an empty text.

    Characters that XML does not allow are replaced. Without them, a text could be empty.
    """
    if isinstance(value, bytes):
        return value
    text = NULL_ELEMENT.sub(r'<\1\2 xsi:nil="true"/>', xml.encode(writable(value)).decode())
    return text.replace("<xml>", '<xml xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">', 1).encode()


def writable(value: Any) -> Any:
    if value is None:
        return NULL
    if isinstance(value, dict):
        return {name or "_": writable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [writable(item) for item in value]
    return NOT_IN_XML.sub("_", value) if isinstance(value, str) else value


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Remove a drawn token: it would take precedence over the header, and no database has it."""
    if isinstance(body, dict):
        body.pop("token", None)
    return body


@schemathesis.hook
def before_add_examples(context: Any, examples: Any) -> None:
    """Remove the token of the examples, which is that of the fixtures."""
    for example in examples:
        example.body = map_body(context, example.body)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Change what the generator cannot know, before a request is sent.

    An expiration that is a time is in the future, as the description of its header says. A deletion is no dry run: the
    stateful phase expects that its object is gone. No request waits for an event, and a form has no null.
    """
    if re.fullmatch(r"(\d{1,2}|[12]\d\d)(\.\d+)?|300", str((case.query or {}).get("wait", ""))):
        case.query["wait"] = "0"
    if A_TIME.fullmatch(str((case.headers or {}).get("x-idempotency-expiration", ""))):
        case.headers["x-idempotency-expiration"] = str(int(time.time() * 1000) + 3_600_000)
    if case.method == "DELETE" and (case.query or {}).get("dry_run") in ("true", "1"):
        case.query.pop("dry_run")
    if case.media_type in FORMS and isinstance(case.body, dict):
        case.body = {name: value for name, value in case.body.items() if value is not None}


def is_of_the_contract(case: Any, failure: Any) -> bool:
    """Whether a body is valid although a rule is reported as broken: another alternative of the schema allows the body.

    Formats are not checked here: the generator knows more of them.
    """
    broken = set(re.findall("violates `(\\w+)`", failure.message))
    if broken <= {"format"} or "Invalid component: in body" not in failure.message:
        return False
    operation = DOCUMENT["paths"][case.operation.path][case.method.lower()]
    schema = operation["requestBody"]["content"][case.media_type]["schema"]
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]}).is_valid(case.body)


def is_lenient(case: Any, failure: Any) -> bool:
    """Whether the request asks to leave out invalid subscriptions."""
    asked = isinstance(case.body, dict) and case.body.get("skip_invalid_subscriptions") in (True, 1)
    return asked and "subscriptions -> " in failure.message


def is_unneeded(case: Any, failure: Any) -> bool:
    """Whether the invalid value is a match value that the mode of `matching` does not need."""
    named = MATCH_VALUE.search(failure.message)
    if named is None or not isinstance(case.body, dict):
        return False
    mode = case.body.get("matching") or ("profile_id" if case.body.get("profile_id") else "email")
    return isinstance(mode, str) and not any(named[1] in group for group in MODES.get(mode, ()))


def hides_failures(case: Any, response: Any) -> bool:
    """Whether the reply to an import does not have the number of its failed profiles, as the request asks."""
    is_import = case.method == "POST" and case.path.endswith("/profile-bulk-import-jobs")
    return is_import and response.status_code == 202 and "failed_count" not in response.text


def is_of_a_query(case: Any, failure: Any) -> bool:
    """Whether the failure is about headers and parameters of changes, at a GraphQL document that only reads."""
    if case.path != "/client/q" or (isinstance(case.body, dict) and "mutation" in str(case.body.get("query"))):
        return False
    return any(f"`{name}`" in failure.message for name in ("Idempotency-Key", "dry_run"))


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether a failure counts. Negative data in XML does not: a JSON Schema sees types, and XML has text alone."""
    kind, is_xml = type(failure).__name__, case.media_type == "application/xml"
    if kind == "AcceptedNegativeData":
        is_reported = (
            REPORTED_INSIDE.search(response.text) or hides_failures(case, response) or is_of_a_query(case, failure)
        )
        is_ignored = UNKNOWN_PARAMETER in failure.message or is_lenient(case, failure) or is_unneeded(case, failure)
        return not (is_xml or is_reported or is_ignored or is_of_the_contract(case, failure))
    if kind == "UseAfterFree":
        # An unknown id is on no list, which is no error.
        return not case.path.endswith("/lists")
    is_beyond = BEYOND.search(response.text) or (is_xml and EMPTY in response.text)
    is_beyond = is_beyond or (case.method == "PATCH" and UNDECLARED in response.text)
    return not (kind == "RejectedPositiveData" and is_beyond)
