"""Generates OpenAPI 3.1 for every call that can succeed.

`schemas/<dialect>.openapi.json` has the components of a dialect, and for each call the names of its parameters, body
and replies among them. Media types, rights, errors and headers come from the calls and the catalog of faults. The
gateway's own API is described in full, in `schemas/gateway.openapi.json`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from http import HTTPStatus
from typing import Any, TypeAlias

from gateway.core.faults import CATALOG, Fault
from gateway.core.rights import READ
from gateway.dialects.protocol import (
    CONTENT_TYPES,
    DESCRIBE,
    JOB,
    JOB_PROFILES,
    JOBS,
    JOURNAL,
    LIST,
    WITHOUT_DRY_RUN,
    Call,
    Dialect,
)
from gateway.media import CODECS
from gateway.media.form import MULTIPART, URL_ENCODED

JSON: TypeAlias = dict[str, Any]
Schemas: TypeAlias = Callable[[str], JSON]
"""Loads a file of `schemas/` by its name without `.json`."""

CANONICAL = ("profile", "subscription", "command", "dry-run")
"""The schemas of the canonical form that the dialects' schemas refer to."""

DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "Return what the call would do, and store nothing. The token needs the right to read too.",
    "schema": {"enum": ["true", "false", "1", "0"]},
}

OWN_API = "gateway"
"""The gateway's own API. Its file in `schemas/` has the paths themselves."""

OWN_FAULTS = (
    *("unknown_cursor", "unknown_merge", "unknown_webhook", "unknown_relay", "merge_undone"),
    *("undo_conflict", "webhooks_unavailable", "relays_unavailable", "expired_cursor", "expired_history"),
)
"""Faults of that API alone."""

SECRET_TOKEN_FAULTS, COMPANY_FAULTS = {"no_token", "unknown_token", "missing_right"}, {"unknown_company"}
"""Faults of a secret token, and of the company id that public calls have instead."""

CONFLICT_FREE = (*WITHOUT_DRY_RUN, DESCRIBE, JOB, JOBS, JOURNAL, LIST, JOB_PROFILES)
"""Operations that neither change a profile nor require exactly one match: those that only read have no conflict."""

BOOLEAN_SCHEMAS: Mapping[bool, JSON] = {True: {}, False: {"not": {}}}
"""The schemas `true` and `false` as objects."""

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Make the change happen once: a repeated request gets the stored first response.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
RATES = {
    "ratelimit-limit": "The tightest limit, then every rate with its window in seconds.",
    "ratelimit-remaining": "The remaining requests of the tightest limit.",
    "ratelimit-reset": "Seconds until the tightest limit is restored in full.",
}
HEADERS = {
    "retry-after": "Seconds to wait.",
    "www-authenticate": "The accepted scheme of credentials.",
    "x-should-retry": "Whether the same request may succeed later.",
}


def openapi(dialects: Sequence[Dialect], schemas: Schemas, version: str) -> JSON:
    """Return the document (https://spec.openapis.org/oas/v3.1.1.html), the same for the same dialects.

    Raises `KeyError` on a call without a description.
    """
    descriptions = {dialect.name: schemas(f"{dialect.name}.openapi") for dialect in dialects}
    examples = schemas("examples")
    paths: JSON = {}
    for dialect in dialects:
        for call in _published_calls(dialect, descriptions[dialect.name]):
            operation = _operation(dialect, call, descriptions[dialect.name], examples[dialect.name])
            paths.setdefault(call.path, {})[call.method.lower()] = operation
    own, components = schemas(f"{OWN_API}.openapi"), _components(dialects, descriptions, schemas)
    described = {**descriptions, OWN_API: own}
    return {
        "openapi": "3.1.0",
        "info": _info(version),
        "servers": [{"url": "/", "description": "This gateway."}],
        "tags": [{"name": name, "description": each["description"]} for name, each in described.items()],
        "paths": {**paths, **own["paths"]},
        "components": {kind: {**named, **own["components"].get(kind, {})} for kind, named in components.items()},
    }


def _published_calls(dialect: Dialect, description: JSON) -> list[Call]:
    """Return the calls in the order of their descriptions: the most useful one is first.

    A call without a reply of its own is left out: what it asks for never exists.
    """
    rows = description["calls"]
    order = {name: index for index, name in enumerate(rows)}
    calls = [call for call in dialect.calls if rows[f"{call.method} {call.path}"]["replies"]]
    return sorted(calls, key=lambda call: order[f"{call.method} {call.path}"])


def _components(dialects: Sequence[Dialect], descriptions: Mapping[str, JSON], schemas: Schemas) -> JSON:
    """Return the components and errors of every dialect, and the canonical schemas that they refer to."""
    found: JSON = {"schemas": {}, "responses": {}, "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY, "DryRun": DRY_RUN}}
    for dialect in dialects:
        for kind, named in descriptions[dialect.name]["components"].items():
            found[kind] = {**found.get(kind, {}), **named}
        for status, faults in _faults(dialect).items():
            if any(_can_occur(fault, call) for fault in faults for call in dialect.calls):
                found["responses"][_error_response_name(dialect, status)] = _error_response(dialect, faults)
    found["schemas"] |= {_component_name(name): _bundled(schemas(f"{name}.schema"), name) for name in CANONICAL}
    for name in {"DryRun", *map(_error_schema_name, dialects), *_body_schemas(descriptions.values())}:
        # Here, since most tools ignore it beside a reference.
        found["schemas"][name] = {**found["schemas"][name], "xml": {"name": "xml"}}
    whole = {name: _inlined(schema, found["schemas"]) for name, schema in found["schemas"].items()}
    inlined = ("Profile", "Subscription", "Command")
    found["schemas"] = {name: schema for name, schema in whole.items() if name not in inlined}
    return found


def _body_schemas(descriptions: Iterable[JSON]) -> set[str]:
    """Return the names of the schemas of whole bodies, whose root in XML is `xml`."""
    rows = [row for dialect in descriptions for row in dialect["calls"].values()]
    return {name for row in rows for name in (row.get("body"), *row["replies"].values()) if name}


def _info(version: str) -> JSON:
    return {
        "title": "Profile Gateway",
        "version": version,
        "description": "The profile APIs of three vendors over the same profiles, and the gateway's own, in XML and "
        "in JSON. Every path may end in a slash. Unknown parameters of a query are ignored.",
        "license": {"name": "MIT", "identifier": "MIT"},
    }


def _bundled(schema: Any, name: str) -> Any:
    """Return a schema of `schemas/` as a component: its references point to components."""
    if isinstance(schema, list):
        return [_bundled(each, name) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _bundled(value, name) for key, value in schema.items() if key not in ("$id", "$schema")}
    if isinstance(kept.get("properties"), dict):
        # Many generators do not support the schemas `true` and `false`.
        members = kept["properties"].items()
        kept["properties"] = {key: BOOLEAN_SCHEMAS[each] if isinstance(each, bool) else each for key, each in members}
    return {**kept, "$ref": _component(schema["$ref"], name)} if "$ref" in schema else kept


def _inlined(schema: Any, schemas: Mapping[str, JSON]) -> Any:
    """Return a schema with references into the middle of a component replaced: few generators resolve them."""
    if isinstance(schema, list):
        return [_inlined(each, schemas) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name, *steps = str(schema.get("$ref", "")).removeprefix("#/components/schemas/").split("/")
    if not steps:
        return {key: _inlined(value, schemas) for key, value in schema.items()}
    inner = reduce(lambda value, step: value[step], steps, schemas[name])
    return _inlined({**inner, **{key: value for key, value in schema.items() if key != "$ref"}}, schemas)


def _component(reference: str, name: str) -> str:
    resource, _, pointer = reference.partition("#")
    return f"#/components/schemas/{_component_name(resource.rpartition(':')[2] or name)}{pointer}"


def _component_name(name: str) -> str:
    """Return the name of a canonical schema's component: `dry-run` is `DryRun`."""
    return "".join(part.capitalize() for part in name.split("-"))


# --- one call ---


def _operation(dialect: Dialect, call: Call, description: JSON, examples: JSON) -> JSON:
    row = description["calls"][f"{call.method} {call.path}"]
    names = [*row["parameters"], *(["IdempotencyKey"] if call.right != READ else [])]
    names += ["DryRun"] if _has_dry_run(call) else []
    operation = {
        "operationId": row["id"],
        "tags": [dialect.name],
        "summary": row["summary"],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names],
        "security": [] if call.is_public else [{name: []} for name in description["components"]["securitySchemes"]],
    }
    example = examples[row["example"]]
    if "body" in row:
        content = _content(_request_types(dialect), [row["body"]], example["request"])
        if call.accepts_forms:
            content |= _content(dict.fromkeys((URL_ENCODED, MULTIPART), "form"), [row["body"]], {})
        operation["requestBody"] = {"required": not (call.accepts_forms or call.is_body_optional), "content": content}
    return {**operation, "responses": _responses(dialect, call, row["replies"], example)}


def _request_types(dialect: Dialect) -> Mapping[str, str]:
    """Return the preferred media types of a request, with the codec of each."""
    return {codec.media_type: codec.name for codec in CODECS} | _response_types(dialect)


def _response_types(dialect: Dialect) -> dict[str, str]:
    return {media_type: codec for codec, media_type in dialect.content_types.items()}


def _content(types: Mapping[str, str], names: Sequence[str], examples: Mapping[str, Any]) -> JSON:
    """Return the content of a body of one of these schemas, in each media type; examples are by codec."""
    content: JSON = {}
    for media_type, codec in types.items():
        content[media_type] = {"schema": _schema(names, codec)}
        if codec in examples:
            content[media_type]["example"] = examples[codec]
    return content


def _schema(names: Sequence[str], codec: str) -> JSON:
    """Return the schema; for XML, it names an XML Schema too."""
    references: list[JSON] = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    if codec != "xml":
        return schema
    return {**schema, "x-xsd": [f"schemas/{name}.xsd" for name in names]}


# --- replies ---


def _responses(dialect: Dialect, call: Call, replies: Mapping[str, str | None], example: JSON) -> JSON:
    """Return the responses of a call by status: its own, and those of the faults that can occur."""
    error_statuses = {
        status for status, faults in _faults(dialect).items() if any(_can_occur(each, call) for each in faults)
    }
    responses: JSON = {
        status: {"$ref": f"#/components/responses/{_error_response_name(dialect, status)}"} for status in error_statuses
    }
    dry_run: JSON = {"200": replies.get("200")} if _has_dry_run(call) else {}
    for status, name in {**replies, **dry_run}.items():
        # A setting can give errors the status of success.
        names = [*filter(None, [name]), *([_error_schema_name(dialect)] if status in error_statuses else [])]
        body = example["reply"] if example["status"] == int(status) else {}
        headers = RATES if call.rates else {}
        types = _response_types(dialect)
        if status in dry_run:
            names = [*names, "DryRun"]
            types |= {media_type: codec for codec, media_type in CONTENT_TYPES.items()}
        responses[status] = _response(types, HTTPStatus(int(status)).phrase, headers, names, body)
    return dict(sorted(responses.items()))


def _has_dry_run(call: Call) -> bool:
    """Return whether the call has dry runs. They return profiles, which a public call must not."""
    return call.right != READ and not call.is_public and call.operation not in WITHOUT_DRY_RUN


def _response(
    types: Mapping[str, str], text: str, headers: Mapping[str, str], names: Sequence[str], body: Mapping[str, Any]
) -> JSON:
    response: JSON = {"description": text}
    if headers:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        }
    return {**response, "content": _content(types, names, body)} if names else response


# --- errors ---


def _faults(dialect: Dialect) -> dict[str, list[Fault]]:
    """Return by status the faults of the dialect's calls."""
    found: dict[str, list[Fault]] = {}
    for code in CATALOG:
        if code != "method_not_allowed" and code not in OWN_FAULTS:
            fault = Fault(code)
            found.setdefault(str(dialect.render_faults([fault]).status), []).append(fault)
    return found


def _can_occur(fault: Fault, call: Call) -> bool:
    if fault.code in (SECRET_TOKEN_FAULTS if call.is_public else COMPANY_FAULTS):
        return False
    if fault.code == "rate_limited":
        return bool(call.rates)
    return fault.status != 409 or call.right != READ or call.operation not in CONFLICT_FREE


def _error_response(dialect: Dialect, faults: Sequence[Fault]) -> JSON:
    """Return the response of one status. Its example is that of the first fault."""
    reply = dialect.render_faults(faults[:1])
    names = [*reply.headers, *(["retry-after"] if any(fault.code == "rate_limited" for fault in faults) else [])]
    text = "; ".join(dict.fromkeys(fault.text for fault in faults))
    body = {codec.name: reply.tree if codec.is_typed else codec.encode(reply.tree).decode() for codec in CODECS}
    headers = {name: HEADERS[name] for name in names}
    return _response(_response_types(dialect), text, headers, [_error_schema_name(dialect)], body)


def _error_response_name(dialect: Dialect, status: str) -> str:
    return f"{dialect.name.capitalize()}{status}"


def _error_schema_name(dialect: Dialect) -> str:
    return f"{dialect.name.capitalize()}Refusal"
