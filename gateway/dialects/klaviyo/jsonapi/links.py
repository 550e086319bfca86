"""Links and query parameters.

A reply's context carries `base` (the address that the client uses) and `target` (path and query).
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.core.faults import Refusal, refuse
from gateway.core.pointer import join_pointer
from gateway.dialects.protocol import Reply, Request


def parse_parameters(request: Request) -> dict[str, str]:
    """Return the parameters of the query. The values of a repeated parameter are joined by commas."""
    parameters: dict[str, str] = {}
    if "?" not in request.target:
        return parameters
    for name, value in parse_qsl(urlsplit(request.target).query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def invalid_parameter(parameter: str, detail: str) -> Refusal:
    """Return the refusal of a parameter of the query, for the caller to raise."""
    return refuse("invalid_parameter", detail, join_pointer("parameter", parameter))


def parse_field_names(parameters: Mapping[str, str], parameter: str) -> tuple[str, ...]:
    """Return the names of a list, such as `fields[type]` or `include`. It is empty if the parameter is absent."""
    return tuple(name.strip() for name in parameters[parameter].split(",")) if parameter in parameters else ()


def parse_include(parameters: Mapping[str, str], names: Container[str]) -> tuple[str, ...]:
    """Return the relationships whose resources the reply includes. Raises `Refusal` on one that is not in `names`."""
    include = parse_field_names(parameters, "include")
    for name in include:
        if name not in names:
            raise invalid_parameter("include", f"'{name[:60]}' cannot be included here.")
    return include


def unknown_field(parameter: str, name: str, type: str) -> Refusal:
    """Return the refusal of a sparse fieldset with a name that the type of resource does not have."""
    return invalid_parameter(parameter, f"'{name[:60]}' is not a valid field for the resource '{type}'.")


def link_context(request: Request) -> dict[str, Any]:
    """Return the context that links are made of."""
    return {"base": request.base, "target": request.target}


def self_link(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the link of the request itself."""
    return {"self": context["base"] + context["target"]}


def relationship_links(link: str, name: str) -> dict[str, str]:
    """Return the links of a relationship of the resource at `link`."""
    return {"self": f"{link}/relationships/{name}", "related": f"{link}/{name}"}


def link_relationships(link: str, names: Iterable[str]) -> dict[str, Any]:
    """Return relationships that have links only."""
    return {name: {"links": {"self": f"{link}/relationships/{name}", "related": f"{link}/{name}"}} for name in names}


def render_resource(resource: Mapping[str, Any], status: int = 200) -> Reply:
    """Render the document of one resource."""
    return Reply(status, {"data": resource, "links": resource["links"]})


def add_linkage(resource: Mapping[str, Any], related: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return a resource whose relationships have the identifiers of the resources that a reply includes."""
    linkage = {
        name: {**resource["relationships"][name], "data": [{"type": each["type"], "id": each["id"]} for each in found]}
        for name, found in related.items()
        if name in resource["relationships"]
    }
    return {**resource, "relationships": {**resource["relationships"], **linkage}}


def add_included(reply: Reply, resources: Iterable[Mapping[str, Any]]) -> Reply:
    """Return a reply that includes resources, each once."""
    included = {(each["type"], each["id"]): each for each in resources}
    return Reply(reply.status, {**reply.tree, "included": list(included.values())}, reply.headers)


def render_collection(context: Mapping[str, Any], resources: Sequence[Mapping[str, Any]]) -> Reply:
    """Render all resources in one document, without pages."""
    return Reply(200, {"data": list(resources), "links": self_link(context)})
