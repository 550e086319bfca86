"""OpenAPI 3.1 of every call. What a call does is read off the call; what its bodies look like, off `schemas/`.

Each dialect's `schemas/<dialect>.openapi.json` names, for every call, its parameters, its body and its replies among
the components that stand beside them. Media types, rights, refusals and headers are found out here; nothing is sent.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from http import HTTPStatus
from typing import Any, TypeAlias

from gateway.core.faults import CATALOG, Fault
from gateway.core.model import READ
from gateway.dialects.protocol import CONTENT_TYPES, DESCRIBE, JOB, JOB_PROFILES, JOBS, LIST, Call, Dialect
from gateway.media import CODECS

JSON: TypeAlias = dict[str, Any]
Schemas: TypeAlias = Callable[[str], JSON]
"""Reads a file of `schemas/`, by its name without `.json`."""

CANONICAL = ("profile", "subscription", "command", "dry-run")
"""The canonical form's own schemas, which those of the dialects refer to."""

DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "Asks what the call would do, and keeps nothing. The token needs the right to read too.",
    "schema": {"enum": ["true", "false", "1", "0"]},
}

OF_SECRETS, OF_COMPANIES = {"no_token", "unknown_token", "missing_right"}, {"unknown_company"}
"""Refusals of a secret credential, and of the public one that calls open to every page take."""

NEVER_IN_CONFLICT = (DESCRIBE, JOB, JOBS, LIST, JOB_PROFILES)
"""Requests that neither change a profile nor ask for the only one of a name."""

PLAIN: Mapping[bool, JSON] = {True: {}, False: {"not": {}}}
"""What a schema of one word says, as an object."""

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes the change happen once: the first answer is kept with it, and given again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
RATES = {
    "ratelimit-limit": "The tightest limit, then every rate with its window in seconds.",
    "ratelimit-remaining": "Requests that are left of it.",
    "ratelimit-reset": "Seconds until it is whole again.",
}
HEADERS = {
    "retry-after": "Seconds to wait.",
    "www-authenticate": "The scheme of credentials that is taken.",
    "x-should-retry": "Whether the same request may succeed later.",
}


def openapi(spoken: Sequence[Dialect], schemas: Schemas, version: str) -> JSON:
    """The document (https://spec.openapis.org/oas/v3.1.1.html), always the same for the same dialects.

    Raises `KeyError` on a call that is not described.
    """
    told = {dialect.name: schemas(f"{dialect.name}.openapi") for dialect in spoken}
    examples = schemas("examples")
    paths: JSON = {}
    for dialect in spoken:
        for call in _in_described_order(dialect, told[dialect.name]):
            operation = _operation(dialect, call, told[dialect.name], examples[dialect.name])
            paths.setdefault(call.path, {})[call.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": _info(version),
        "servers": [{"url": "/", "description": "The gateway that this was got from."}],
        "tags": [{"name": name, "description": dialect["description"]} for name, dialect in told.items()],
        "paths": paths,
        "components": _components(spoken, told, schemas),
    }


def _in_described_order(dialect: Dialect, description: JSON) -> list[Call]:
    """Return the calls in the order of their descriptions: the most useful one is first."""
    order = {name: index for index, name in enumerate(description["calls"])}
    return sorted(dialect.calls, key=lambda call: order[f"{call.method} {call.path}"])


def _components(spoken: Sequence[Dialect], told: Mapping[str, JSON], schemas: Schemas) -> JSON:
    """Every dialect's components and refusals, and the canonical schemas that they refer to."""
    found: JSON = {"schemas": {}, "responses": {}, "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY, "DryRun": DRY_RUN}}
    for dialect in spoken:
        for kind, named in told[dialect.name]["components"].items():
            found[kind] = {**found.get(kind, {}), **named}
        for status, faults in _faults(dialect).items():
            if any(_may_befall(fault, call) for fault in faults for call in dialect.calls):
                found["responses"][_refused(dialect, status)] = _refusal(dialect, faults)
    found["schemas"] |= {_component_name(name): _bundled(schemas(f"{name}.schema"), name) for name in CANONICAL}
    for name in {"DryRun", *map(_name_of_refusal, spoken), *_bodies(told.values())}:
        # Here and not beside a reference, where most tools do not look.
        found["schemas"][name] = {**found["schemas"][name], "xml": {"name": "xml"}}
    whole = {name: _inlined(schema, found["schemas"]) for name, schema in found["schemas"].items()}
    found["schemas"] = {name: schema for name, schema in whole.items() if name not in ("Profile", "Command")}
    return found


def _bodies(told: Iterable[JSON]) -> set[str]:
    """The schemas of whole bodies, whose root in XML is `xml`."""
    rows = [row for dialect in told for row in dialect["calls"].values()]
    return {name for row in rows for name in (row.get("body"), *row["replies"].values()) if name}


def _info(version: str) -> JSON:
    return {
        "title": "Profile Gateway",
        "version": version,
        "description": "Profile updates of three vendors' dialects, in XML and in JSON. Every path may end in a slash, "
        "and parameters of a query that are not known are passed over.",
        "license": {"name": "MIT", "identifier": "MIT"},
    }


def _bundled(schema: Any, name: str) -> Any:
    """A schema of `schemas/` as a component: what refers to another, or into itself, refers to components."""
    if isinstance(schema, list):
        return [_bundled(each, name) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _bundled(value, name) for key, value in schema.items() if key not in ("$id", "$schema")}
    if isinstance(kept.get("properties"), dict):
        # Many a generator knows no schema that is true or false.
        members = kept["properties"].items()
        kept["properties"] = {key: PLAIN[each] if isinstance(each, bool) else each for key, each in members}
    return {**kept, "$ref": _component(schema["$ref"], name)} if "$ref" in schema else kept


def _inlined(schema: Any, schemas: Mapping[str, JSON]) -> Any:
    """A schema with what stands inside another one put in the place of its reference: few generators follow such."""
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
    """The name of a canonical schema's component: `dry-run` is `DryRun`."""
    return "".join(part.capitalize() for part in name.split("-"))


# --- one call ---


def _operation(dialect: Dialect, call: Call, told: JSON, examples: JSON) -> JSON:
    row = told["calls"][f"{call.method} {call.path}"]
    names = [*row["parameters"], *(["IdempotencyKey"] if call.right != READ else [])]
    names += ["DryRun"] if _may_be_rehearsed(call) else []
    operation = {
        "operationId": row["id"],
        "tags": [dialect.name],
        "summary": row["summary"],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names],
        "security": [] if call.is_public else [{name: []} for name in told["components"]["securitySchemes"]],
    }
    example = examples[row["example"]]
    if "body" in row:
        content = _content(_read_types(dialect), [row["body"]], example["request"])
        operation["requestBody"] = {"required": True, "content": content}
    return {**operation, "responses": _responses(dialect, call, row["replies"], example)}


def _read_types(dialect: Dialect) -> Mapping[str, str]:
    """The media types that a request is best sent as, and the codec of each."""
    return {codec.media_type: codec.name for codec in CODECS} | _written_types(dialect)


def _written_types(dialect: Dialect) -> dict[str, str]:
    return {media_type: codec for codec, media_type in dialect.content_types.items()}


def _content(types: Mapping[str, str], names: Sequence[str], examples: Mapping[str, Any]) -> JSON:
    """A body that is of one of these schemas, in each of its media types; examples are by codec."""
    content: JSON = {}
    for media_type, codec in types.items():
        content[media_type] = {"schema": _schema(names, codec)}
        if codec in examples:
            content[media_type]["example"] = examples[codec]
    return content


def _schema(names: Sequence[str], codec: str) -> JSON:
    """XML has an XML Schema beside this document."""
    references: list[JSON] = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    if codec != "xml":
        return schema
    return {**schema, "x-xsd": [f"schemas/{name}.xsd" for name in names]}


# --- replies ---


def _responses(dialect: Dialect, call: Call, replies: Mapping[str, str | None], example: JSON) -> JSON:
    """Every status that the call can be answered with: its own, and those of the refusals that may befall it."""
    refused = {status for status, faults in _faults(dialect).items() if any(_may_befall(each, call) for each in faults)}
    responses: JSON = {status: {"$ref": f"#/components/responses/{_refused(dialect, status)}"} for status in refused}
    rehearsed: JSON = {"200": replies.get("200")} if _may_be_rehearsed(call) else {}
    for status, name in {**replies, **rehearsed}.items():
        # A setting may have refusals answered with the status of success.
        names = [*filter(None, [name]), *([_name_of_refusal(dialect)] if status in refused else [])]
        shown = example["reply"] if example["status"] == int(status) else {}
        headers = RATES if call.rates else {}
        types = _written_types(dialect)
        if status in rehearsed:
            names = [*names, "DryRun"]
            types |= {media_type: codec for codec, media_type in CONTENT_TYPES.items()}
        responses[status] = _response(types, HTTPStatus(int(status)).phrase, headers, names, shown)
    return dict(sorted(responses.items()))


def _may_be_rehearsed(call: Call) -> bool:
    """Whoever is told of profiles must have the right to read, which a page of any site has not."""
    return call.right != READ and not call.is_public


def _response(
    types: Mapping[str, str], text: str, headers: Mapping[str, str], names: Sequence[str], shown: Mapping[str, Any]
) -> JSON:
    response: JSON = {"description": text}
    if headers:
        response["headers"] = {
            name: {"description": told, "schema": {"type": "string"}} for name, told in headers.items()
        }
    return {**response, "content": _content(types, names, shown)} if names else response


# --- refusals ---


def _faults(dialect: Dialect) -> dict[str, list[Fault]]:
    """By status, all that the dialect's calls may be refused for."""
    found: dict[str, list[Fault]] = {}
    for code in CATALOG:
        if code != "method_not_allowed":
            fault = Fault(code)
            found.setdefault(str(dialect.render_faults([fault]).status), []).append(fault)
    return found


def _may_befall(fault: Fault, call: Call) -> bool:
    if fault.code in (OF_SECRETS if call.is_public else OF_COMPANIES):
        return False
    if fault.code == "rate_limited":
        return bool(call.rates)
    return fault.status != 409 or call.operation not in NEVER_IN_CONFLICT


def _refusal(dialect: Dialect, faults: Sequence[Fault]) -> JSON:
    """The response of one status; the example is what the dialect says of the first of its faults."""
    reply = dialect.render_faults(faults[:1])
    names = [*reply.headers, *(["retry-after"] if any(fault.code == "rate_limited" for fault in faults) else [])]
    text = "; ".join(dict.fromkeys(fault.text for fault in faults))
    shown = {codec.name: reply.tree if codec.is_typed else codec.encode(reply.tree).decode() for codec in CODECS}
    headers = {name: HEADERS[name] for name in names}
    return _response(_written_types(dialect), text, headers, [_name_of_refusal(dialect)], shown)


def _refused(dialect: Dialect, status: str) -> str:
    return f"{dialect.name.capitalize()}{status}"


def _name_of_refusal(dialect: Dialect) -> str:
    return f"{dialect.name.capitalize()}Refusal"
