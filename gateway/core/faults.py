"""The catalog of refusals: each name once, with its HTTP status and a text.

Dialects render a fault, nobody else does. A new refusal is a new row here.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A catalog row: the HTTP status (RFC 9110) and the text of a fault without a detail."""

    status: int
    text: str


CATALOG: dict[str, Row] = {
    "malformed_body": Row(400, "the body is not well formed"),
    "not_an_object": Row(400, "the body is not an object"),
    "too_deep": Row(400, "the body is nested too deeply"),
    "too_many_nodes": Row(400, "the body has too many elements"),
    "too_long": Row(400, "a name, a text or a list of the body is too long"),
    "missing_parameter": Row(400, "a required parameter is missing"),
    "invalid_parameter": Row(400, "a parameter has a wrong value"),
    "unknown_matching": Row(400, "the matching mode is not known"),
    "missing_match_field": Row(400, "a field that the matching mode needs is missing"),
    "not_an_identifier": Row(400, "the field is not declared as an identifier"),
    "match_not_in_data": Row(400, "a new profile must bring what the matching mode searches"),
    "invalid_field": Row(400, "a field has a wrong value"),
    "unknown_field": Row(400, "Incorrect field"),
    "read_only_field": Row(400, "the field is set by the gateway alone"),
    "invalid_patch": Row(400, "the JSON Patch cannot be applied"),
    "invalid_function": Row(400, "the update function does not fit the field"),
    "unknown_category": Row(400, "category not found in resource"),
    "no_token": Row(401, "no token was given"),
    "unknown_token": Row(403, "the token is not known or was revoked"),
    "unknown_company": Row(400, "the company id is not known"),
    "missing_right": Row(403, "the token does not have the right to do this"),
    "unknown_call": Row(404, "there is no such call"),
    "unknown_database": Row(404, "there is no such database"),
    "unknown_resource": Row(404, "there is no such resource"),
    "unknown_segment": Row(404, "there is no such segment"),
    "unknown_job": Row(404, "there is no such job"),
    "profile_not_found": Row(404, "no profile matches"),
    "method_not_allowed": Row(405, "the method is not allowed here"),
    "ambiguous_match": Row(409, "more than one profile matches"),
    "identifier_taken": Row(409, "the identifier belongs to another profile"),
    "idempotency_conflict": Row(409, "the Idempotency-Key was used for another request"),
    "body_too_large": Row(413, "the body is too large"),
    "profile_too_large": Row(413, "the profile would become too large"),
    "too_many_profiles": Row(413, "the request has too many profiles"),
    "unsupported_media_type": Row(415, "the media type is not supported"),
    "rate_limited": Row(429, "too many requests, try again later"),
    "internal_error": Row(500, "the gateway failed; nothing is known to have changed"),
    "overloaded": Row(503, "too much is being worked on, try again later"),
    "store_unavailable": Row(503, "the store is not available, try again later"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One refusal: its catalog name, what was wrong, and where (an RFC 6901 pointer into the canonical request, or "").

    `profile` is the id of the profile that stands in the way, or that was searched in vain, where there is one.
    """

    code: str
    detail: str = ""
    pointer: str = ""
    profile: str = ""

    @property
    def row(self) -> Row:
        return CATALOG[self.code]

    @property
    def text(self) -> str:
        return self.detail or self.row.text


class Refusal(Exception):
    """Carries every fault of a request out of the room that found them. The first one decides the status."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(", ".join(fault.code for fault in faults))
        self.faults = tuple(faults)

    def anew(self) -> "Refusal":
        """The same refusal, not raised yet: for whoever holds one as a value, or raises one that is held.

        One that was raised knows the frames that it went through. Held by one of them, it would hold all of a request
        until the garbage collector comes by, which counts objects and not their size: gigabytes, under attack.
        """
        return Refusal(self.faults)


def refuse(code: str, detail: str = "", pointer: str = "") -> Refusal:
    """A refusal of one fault, to be raised."""
    return Refusal([Fault(code, detail, pointer)])
