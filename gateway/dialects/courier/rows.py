"""Rows of files: the profile of a request to `/profiles/{recipient_id}`, with the id as one more member."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Database, Profile, Tree
from gateway.dialects.courier.calls import CALLS, PROFILE
from gateway.dialects.courier.errors import render_faults
from gateway.dialects.courier.fields import ADDRESS_CLAIMS, FIELDS, OBJECT_FIELDS
from gateway.dialects.courier.replies import render_document
from gateway.dialects.protocol import FileRows, Request
from gateway.dialects.row_members import nest

ID = "recipient_id"


def _request(row: Tree, _parameters: Mapping[str, Any], is_typed: bool) -> Request:
    """Return the request of a row. Without an id it has an empty one, which is refused."""
    profile = nest(row, OBJECT_FIELDS)
    id = profile.pop(ID, None)
    return Request({"profile": profile}, path={ID: "" if id is None else str(id).strip()}, is_typed=is_typed)


def _render(profile: Profile, _database: Database) -> dict[str, Any]:
    """Return the profile as Courier's API returns it. One without an external id has its own, as in a relay."""
    document = profile.document
    return {**render_document(document), ID: str(document.get("external_id") or profile.id)}


def _describe(faults: Sequence[Fault]) -> str:
    tree = render_faults(faults).tree
    assert isinstance(tree, dict)
    return str(tree["message"])


FILE_ROWS = FileRows(
    calls={"import": next(each for each in CALLS if (each.method, each.path) == ("POST", PROFILE))},
    request=_request,
    names=(ID, *FIELDS, *(f"address.{name}" for name in ADDRESS_CLAIMS)),
    render=_render,
    describe=_describe,
    objects=OBJECT_FIELDS,
    own_fields="custom.",
    smallest={ID: "x"},
)
