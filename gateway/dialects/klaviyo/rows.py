"""Rows of files: the attributes of a profile resource. `--mode update` also needs its id."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Database, Profile, Tree
from gateway.core.pointer import value_at
from gateway.core.rights import WRITE
from gateway.dialects.klaviyo.errors import render_faults
from gateway.dialects.klaviyo.fields import FIELDS, TIME_FIELDS, WRITE_ONLY_FIELDS
from gateway.dialects.klaviyo.jsonapi.documents import ATTRIBUTES
from gateway.dialects.klaviyo.profiles import parse_creation, parse_import, parse_update
from gateway.dialects.klaviyo.replies import render_attributes, render_profile
from gateway.dialects.protocol import UPDATE, Call, FileRows, Request
from gateway.dialects.row_members import nest

OBJECTS = ("location", "properties")


def _request(row: Tree, _parameters: Mapping[str, Any], is_typed: bool) -> Request:
    """Return the request of a row, whose id is that of the resource and of the path."""
    attributes = nest(row, OBJECTS)
    id = attributes.pop("id", None)
    resource = {"type": "profile", **({} if id is None else {"id": id}), "attributes": attributes}
    return Request({"data": resource}, path={"id": str(id or "")}, is_typed=is_typed)


def _render(profile: Profile, _database: Database) -> dict[str, Any]:
    """Return the attributes of a profile that a request can write, without those that it does not have."""
    attributes = {name: value for name, value in render_attributes(profile).items() if name not in TIME_FIELDS}
    attributes |= {name: value_at(profile.document, FIELDS[name]) for name in WRITE_ONLY_FIELDS}
    attributes["location"] = _present(attributes["location"])
    return {name: value for name, value in _present(attributes).items() if value != {}}


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _describe(faults: Sequence[Fault]) -> str:
    tree = render_faults(faults).tree
    assert isinstance(tree, dict)
    return "; ".join(_text(each) for each in tree["errors"])


def _text(error: Mapping[str, Any]) -> str:
    place = str(error["source"].get("pointer", "")).removeprefix(ATTRIBUTES).strip("/").replace("/", ".")
    return f"{place}: {error['detail']}" if place else str(error["detail"])


FILE_ROWS = FileRows(
    calls={
        "import": Call("POST", "/api/profile-import", UPDATE, WRITE, parse_import, render_profile),
        "add": Call("POST", "/api/profiles", UPDATE, WRITE, parse_creation, render_profile),
        "update": Call("PATCH", "/api/profiles/{id}", UPDATE, WRITE, parse_update, render_profile),
    },
    request=_request,
    names=("id", "location", *FIELDS),
    render=_render,
    describe=_describe,
    objects=OBJECTS,
    own_fields="properties.",
    is_open=False,
    smallest={"external_id": "x"},
)
