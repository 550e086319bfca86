"""The catalog of faults: each code once, with its HTTP status and text. Only dialects render a fault."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A row of the catalog: the HTTP status (RFC 9110), and the text of a fault without a detail."""

    status: int
    text: str


CATALOG: dict[str, CatalogEntry] = {
    "malformed_body": CatalogEntry(400, "the body is not well formed"),
    "not_an_object": CatalogEntry(400, "the body is not an object"),
    "too_deep": CatalogEntry(400, "the body is nested too deeply"),
    "too_many_nodes": CatalogEntry(400, "the body has too many elements"),
    "too_long": CatalogEntry(400, "a name, a text or a list of the body is too long"),
    "missing_parameter": CatalogEntry(400, "a required parameter is missing"),
    "invalid_parameter": CatalogEntry(400, "a parameter has a wrong value"),
    "unknown_matching": CatalogEntry(400, "the matching mode is not known"),
    "missing_match_field": CatalogEntry(400, "a field that the matching mode needs is missing"),
    "not_an_identifier": CatalogEntry(400, "the field is not declared as an identifier"),
    "match_not_in_data": CatalogEntry(400, "a new profile must bring what the matching mode searches"),
    "invalid_field": CatalogEntry(400, "a field has a wrong value"),
    "unknown_field": CatalogEntry(400, "Incorrect field"),
    "read_only_field": CatalogEntry(400, "the field is set by the gateway alone"),
    "invalid_patch": CatalogEntry(400, "the JSON Patch cannot be applied"),
    "invalid_query": CatalogEntry(400, "the query is not one that is served"),
    "invalid_function": CatalogEntry(400, "the update function does not fit the field"),
    "unknown_category": CatalogEntry(400, "category not found in resource"),
    "unknown_cursor": CatalogEntry(400, "the cursor is not one of this feed"),
    "no_token": CatalogEntry(401, "no token was given"),
    "unknown_token": CatalogEntry(403, "the token is not known or was revoked"),
    "unknown_company": CatalogEntry(400, "the company id is not known"),
    "missing_right": CatalogEntry(403, "the token does not have the right to do this"),
    "unknown_call": CatalogEntry(404, "there is no such call"),
    "unknown_database": CatalogEntry(404, "there is no such database"),
    "unknown_resource": CatalogEntry(404, "there is no such resource"),
    "unknown_subscription": CatalogEntry(404, "the profile has no such subscription"),
    "unknown_relation": CatalogEntry(404, "there is no such relation between the profiles"),
    "unknown_segment": CatalogEntry(404, "there is no such segment"),
    "unknown_webhook": CatalogEntry(404, "there is no such webhook"),
    "unknown_relay": CatalogEntry(404, "there is no such relay"),
    "unknown_job": CatalogEntry(404, "there is no such job"),
    "unknown_merge": CatalogEntry(404, "there is no such merge"),
    "profile_not_found": CatalogEntry(404, "no profile matches"),
    "method_not_allowed": CatalogEntry(405, "the method is not allowed here"),
    "ambiguous_match": CatalogEntry(409, "more than one profile matches"),
    "archived_segment": CatalogEntry(409, "the segment is archived"),
    "identifier_taken": CatalogEntry(409, "the identifier belongs to another profile"),
    "merge_undone": CatalogEntry(409, "the merge was undone before"),
    "undo_conflict": CatalogEntry(409, "what was written since the merge cannot be repeated without it"),
    "idempotency_conflict": CatalogEntry(409, "the Idempotency-Key was used for another request"),
    "expired_cursor": CatalogEntry(410, "the cursor is older than what is kept, or of another store"),
    "expired_history": CatalogEntry(410, "what is kept does not reach back so far"),
    "body_too_large": CatalogEntry(413, "the body is too large"),
    "profile_too_large": CatalogEntry(413, "the profile would become too large"),
    "too_many_profiles": CatalogEntry(413, "the request has too many profiles"),
    "unsupported_media_type": CatalogEntry(415, "the media type is not supported"),
    "rate_limited": CatalogEntry(429, "too many requests, try again later"),
    "internal_error": CatalogEntry(500, "the gateway failed; nothing is known to have changed"),
    "webhooks_unavailable": CatalogEntry(501, "this gateway is not set up for webhooks"),
    "relays_unavailable": CatalogEntry(501, "this gateway is not set up for relays"),
    "overloaded": CatalogEntry(503, "too much is being worked on, try again later"),
    "store_unavailable": CatalogEntry(503, "the store is not available, try again later"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its code in the catalog, a detail, and a JSON Pointer (RFC 6901) into the command, or "".

    `profile` is the id of the profile that causes the fault, or that was not found, and `segment` that of the segment
    that was not found.
    """

    code: str
    detail: str = ""
    pointer: str = ""
    profile: str = ""
    segment: str = ""

    @property
    def status(self) -> int:
        """The HTTP status (RFC 9110)."""
        return CATALOG[self.code].status

    @property
    def text(self) -> str:
        return self.detail or CATALOG[self.code].text


class Refusal(Exception):
    """Raised with every fault of a request. The first fault decides the status."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(", ".join(fault.code for fault in faults))
        self.faults = tuple(faults)

    def copy(self) -> "Refusal":
        """Return the same refusal without a traceback, to be stored as a value or to be raised.

        A raised exception refers to its frames. If one of them refers to the exception, the data of the request stays
        in memory until the garbage collector runs: gigabytes, under attack.
        """
        return Refusal(self.faults)


def refuse(code: str, detail: str = "", pointer: str = "") -> Refusal:
    """Return a refusal of one fault, to be raised."""
    return Refusal([Fault(code, detail, pointer)])
