"""Resources of a JSON:API document: type, id, attributes, relationships. Parsers collect faults instead of raising.

Pointers of faults are pointers into the document.
"""

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from gateway.core.faults import Fault, refuse
from gateway.core.pointer import join_pointer
from gateway.dialects.protocol import Request

ATTRIBUTES = "/data/attributes"
XML_SPACE = " \t\r\n"


class BodyFaults(list[Fault]):
    """The faults of a body, in the order of their discovery. `is_typed` is that of the `Request`."""

    def __init__(self, is_typed: bool, faults: Iterable[Fault] = ()) -> None:
        super().__init__(faults)
        self.is_typed = is_typed

    def is_empty(self, value: Any) -> bool:
        """Return whether a value is absent, null, or a blank element of a body whose leaves have no types."""
        return value is None or (not self.is_typed and isinstance(value, str) and not value.strip(XML_SPACE))

    def add_nested(self, pointer: str, faults: Iterable[Fault]) -> None:
        """Add the faults of a nested resource, whose `/data` is `pointer` + `/data` in this body."""
        for fault in faults:
            self.append(replace(fault, pointer=pointer + fault.pointer))


def parse_resource(request: Request, type: str) -> tuple[dict[str, Any], BodyFaults]:
    """Return `data` and the faults of its type. Raises `Refusal` if `data` is not an object."""
    data = request.tree.get("data")
    if not isinstance(data, dict):
        raise refuse("missing_parameter", "it must be an object", "/data")
    return data, BodyFaults(request.is_typed, () if data.get("type") == type else type_faults(data, type, "/data"))


def trim_names(resource: Any, members: Collection[str]) -> Any:
    """Return a resource of XML without white space around its type and id, and those of the resources in it.

    `members` are the names of members that contain resources, or lead to them.
    """
    if isinstance(resource, list):
        return [trim_names(each, members) for each in resource]
    if not isinstance(resource, dict):
        return resource
    trimmed = dict(resource)
    for name in members:
        if name in resource:
            trimmed[name] = trim_names(resource[name], members)
    for name in ("type", "id"):
        if isinstance(resource.get(name), str):
            trimmed[name] = resource[name].strip(XML_SPACE)
    return trimmed


def trim(value: Any) -> Any:
    """Return a text without the white space around it. Return any other value unchanged."""
    return value.strip(XML_SPACE) if isinstance(value, str) else value


def type_faults(data: Mapping[str, Any], type: str, pointer: str) -> list[Fault]:
    """Return a fault if a resource does not have this type."""
    return [] if data.get("type") == type else [Fault("invalid_parameter", f"it must be {type}", f"{pointer}/type")]


def parse_attributes(data: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    """Return the attributes of a resource. Each resource must have them."""
    attributes = data.get("attributes")
    if isinstance(attributes, dict):
        return attributes
    if attributes is None:
        faults.append(Fault("missing_parameter", "it is missing", ATTRIBUTES))
    return parse_object(attributes, ATTRIBUTES, faults)


def reject_unknown(members: Mapping[str, Any], names: Container[str], pointer: str, faults: BodyFaults) -> None:
    """Add a fault for each member of another name."""
    faults += [Fault("unknown_field", pointer=pointer + join_pointer(name)) for name in members if name not in names]


def parse_text(attributes: Mapping[str, Any], name: str, faults: BodyFaults) -> str:
    """Return an attribute that must be a string, or "" if it is absent."""
    value = attributes.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    faults.append(Fault("invalid_parameter", "it must be a string", ATTRIBUTES + join_pointer(name)))
    return ""


def parse_boolean(attributes: Mapping[str, Any], name: str, faults: BodyFaults) -> bool:
    """Return a boolean, or its text if leaves have no types. It is false by default."""
    value = attributes.get(name)
    is_text = not faults.is_typed and value in ("true", "false")
    if not (isinstance(value, bool) or is_text or faults.is_empty(value)):
        faults.append(Fault("invalid_parameter", "it must be true or false", f"{ATTRIBUTES}/{name}"))
    return value is True or value == "true"


def parse_object(value: Any, pointer: str, faults: BodyFaults) -> dict[str, Any]:
    """Return an object. An empty value is an empty object."""
    if isinstance(value, dict):
        return value
    if not faults.is_empty(value):
        faults.append(Fault("invalid_parameter", "it must be an object", pointer))
    return {}


def parse_list(value: Any, faults: BodyFaults) -> list[Any]:
    """Return a list. In XML a single element is not distinguishable from a list of one."""
    if isinstance(value, list):
        return value
    return [] if faults.is_empty(value) else [value]


def parse_related_ids(data: Mapping[str, Any], name: str, type: str, faults: BodyFaults) -> list[str]:
    """Return the ids of the resources of one type in the relationship `name`."""
    relationships = parse_object(data.get("relationships"), "/data/relationships", faults)
    relationship = parse_object(relationships.get(name), f"/data/relationships/{name}", faults)
    pointer, value = f"/data/relationships/{name}/data", relationship.get("data")
    is_list = isinstance(value, list)
    identifiers = enumerate(parse_list(value, faults))
    ids = [_parse_id(each, type, f"{pointer}/{index}" if is_list else pointer, faults) for index, each in identifiers]
    return [id for id in ids if id is not None]


def _parse_id(identifier: Any, type: str, pointer: str, faults: list[Fault]) -> str | None:
    """Return the id of a resource identifier (an object of type and id)."""
    if not isinstance(identifier, dict):
        faults.append(Fault("invalid_parameter", "it must be an object", pointer))
        return None
    faults += type_faults(identifier, type, pointer)
    id = identifier.get("id")
    if isinstance(id, str) and id:
        return id
    detail = "it is missing" if id in (None, "") else "it must be a string"
    faults.append(Fault("invalid_parameter", detail, f"{pointer}/id"))
    return None
