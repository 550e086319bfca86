"""The settings: environment → one frozen value.

Each field has its type, bounds, default and description here. The field `max_body` is the variable `GATEWAY_MAX_BODY`,
and so on. The environment is an argument.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo, fields

PREFIX = "GATEWAY_"
TEST_PREFIX = "GATEWAY_TEST_"
"""The prefix of the variables for tests, such as a server to use. No setting has it."""

VisibleAscii = Annotated[str, Meta(pattern=r"^[!-~]+\Z")]
"""Text that is the same in a header, a query and a body."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an operator."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port to listen on, 0 for a free one")] = 8080
    store: Annotated[str, Meta(description="URL of the store, sqlite:///FILE or postgresql://HOST/NAME")] = (
        "sqlite:///gateway.db"
    )
    workers: Annotated[int, Meta(ge=1, le=256, description="processes that serve")] = 1
    bootstrap_token: Annotated[
        VisibleAscii | None,
        Meta(description="first token of database 1, with all rights, in visible ASCII; unset: random"),
    ] = None
    bootstrap_company_id: Annotated[str, Meta(description="public id of database 1 when it is created")] = "demo"
    bootstrap_fields: Annotated[
        str | None,
        Meta(description="file with the JSON Schema of database 1's own fields when it is created; unset: customer_id"),
    ] = None
    geoip: Annotated[
        str | None, Meta(description="MaxMind-format file for detect_geo; unset: detect_geo fills nothing")
    ] = None
    secret_file: Annotated[
        str | None,
        Meta(
            description="file with the key of the hashes that keep opt-outs after a privacy deletion, and of encrypted"
            " secrets, created at the first start; unset: the path of a SQLite store with .secret"
        ),
    ] = None
    webhook_private: Annotated[
        bool, Meta(description="send webhooks to private addresses too, such as those of this machine and its network")
    ] = False
    trusted_proxies: Annotated[
        str | None,
        Meta(
            description="addresses and networks of proxies, separated by commas, whose X-Forwarded-Host, -Proto and"
            " -Prefix or Forwarded count; unset: none"
        ),
    ] = None
    erase_on_delete: Annotated[
        bool, Meta(description="erase the person with every deletion of a profile, in all dialects")
    ] = False
    tombstone_days: Annotated[
        int,
        Meta(ge=1, le=36_500, description="days for which a request that is older than an erasure creates nothing"),
    ] = 30
    keep_changes_days: Annotated[int, Meta(ge=1, le=36_500, description="days that the journal and jobs are kept")] = 30
    keep_refused_days: Annotated[
        int, Meta(ge=0, le=36_500, description="days that refused requests are kept; 0: they are not")
    ] = 0
    keep_refused_bytes: Annotated[
        int, Meta(ge=1, description="bytes of refused requests that a database keeps; the oldest are removed first")
    ] = 104_857_600
    max_body: Annotated[int, Meta(ge=1, description="bytes of a body with one profile")] = 1_048_576
    max_batch_body: Annotated[int, Meta(ge=1, description="bytes of a body with a batch")] = 10_485_760
    max_batch: Annotated[int, Meta(ge=1, description="profiles of a batch")] = 10_000
    max_depth: Annotated[int, Meta(ge=1, le=256, description="levels of nesting in a body")] = 32
    max_nodes: Annotated[int, Meta(ge=1, description="elements of a profile, in all")] = 10_000
    max_name: Annotated[int, Meta(ge=1, description="characters of a member's name")] = 4_096
    max_text: Annotated[int, Meta(ge=1, description="characters of a text")] = 1_048_576
    max_items: Annotated[
        int, Meta(ge=1, description="elements of a list, such as subscriptions; a batch is no such list")
    ] = 10_000
    max_compression: Annotated[
        int, Meta(ge=1, description="size of a body with a Content-Encoding, divided by its compressed size")
    ] = 100
    max_held_bodies: Annotated[int, Meta(ge=1, description="bytes of all incomplete bodies together; more get 503")] = (
        134_217_728
    )
    max_requests: Annotated[
        int, Meta(ge=1, description="requests that a process runs at the same time; more get 503")
    ] = 1_000
    altcraft_always_200: Annotated[
        bool, Meta(description="answer Altcraft's calls with HTTP 200 even where error is not 0")
    ] = False
    courier_max_body: Annotated[int, Meta(ge=1, description="bytes of a body of Courier's calls")] = 6_291_456
    klaviyo_lenient_revision: Annotated[bool, Meta(description="accept Klaviyo's calls without a revision header")] = (
        False
    )
    rate_limits: Annotated[
        float, Meta(ge=0, description="factor of the vendors' rate limits for each credential; 0: no limits")
    ] = 1.0
    token_rate: Annotated[
        Annotated[str, Meta(pattern=r"^[1-9][0-9]*/(second|minute|hour|day)\Z")] | None,
        Meta(description="requests of one token that a process accepts, such as 500/second; unset: any number"),
    ] = None
    log_level: Annotated[
        Literal["critical", "error", "warning", "info", "debug"],
        Meta(description="lowest level that is logged: critical, error, warning, info or debug"),
    ] = "info"
    reload_file: Annotated[
        str | None,
        Meta(
            description="file with lines NAME=VALUE of settings that take precedence over the environment, read at the"
            " start and on SIGHUP; unset: none"
        ),
    ] = None
    access_log: Annotated[bool, Meta(description="log each response on standard output, as a JSON line")] = True
    console: Annotated[bool, Meta(description="serve the operator's pages at /console")] = False
    metrics_token: Annotated[
        VisibleAscii | None, Meta(description="token that GET /metrics requires, in visible ASCII; unset: no metrics")
    ] = None
    tracing: Annotated[
        bool, Meta(description="export OpenTelemetry traces; the standard `OTEL_` variables say where to")
    ] = False
    max_connections: Annotated[int, Meta(ge=1, description="open connections of a process; more get 503")] = 10_000
    max_pipelined: Annotated[
        int, Meta(ge=1, description="requests that wait on one connection for the response to an earlier one")
    ] = 32
    max_headers: Annotated[int, Meta(ge=1, description="headers of a request")] = 100
    max_header_bytes: Annotated[int, Meta(ge=1, description="bytes of the request line and headers")] = 32_768
    keep_alive_seconds: Annotated[
        int, Meta(ge=1, description="seconds that an idle connection stays open for the next request")
    ] = 75
    header_seconds: Annotated[float, Meta(gt=0, description="seconds for the headers of a request")] = 10.0
    body_seconds: Annotated[
        float, Meta(gt=0, description="seconds without progress on a body, or on reading a response")
    ] = 30.0
    min_body_rate: Annotated[int, Meta(ge=0, description="average bytes a second of a body, after body_seconds")] = 500
    shutdown_seconds: Annotated[
        int, Meta(ge=1, le=3_600, description="seconds for requests in flight when the gateway stops")
    ] = 30

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], **overrides: str | None) -> Self:
        """Return the settings of an environment. An override, by field name, takes precedence unless it is None.

        Raises `ValueError` with the name of every invalid variable and the reason.
        """
        flags = {variable(field): text for field, text in overrides.items() if text is not None}
        values, problems = {}, []
        for name, text in (_own_variables(environ) | flags).items():
            try:
                values[name.removeprefix(PREFIX).lower()] = _parse(name, text)
            except ValueError as reason:
                problems.append(f"{name}: {reason}")
        if problems:
            raise ValueError("; ".join(problems))
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Return the values by field name."""
        return msgspec.structs.asdict(self)


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()


def table() -> list[tuple[str, str, str]]:
    """Return (variable, default, description) of every setting, for the documentation and `--help`."""
    return [(name, _default_text(field.default), _description(field)) for name, field in _FIELDS.items()]


_FIELDS = {variable(field.name): field for field in fields(Settings)}


def _own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the gateway's own variables. An empty one counts as unset: compose files pass on unset ones as empty."""
    return {name: text for name, text in environ.items() if text and _is_setting(name)}


def _is_setting(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)


def _parse(name: str, text: str) -> Any:
    if name not in _FIELDS:
        raise ValueError(f"there is no such setting; did you mean {get_close_matches(name, _FIELDS, cutoff=0)[0]}?")
    try:
        return msgspec.convert(text, _FIELDS[name].type, strict=False)
    except msgspec.ValidationError as reason:
        raise ValueError(f"{reason} ({_description(_FIELDS[name])})") from None


def _description(field: FieldInfo) -> str:
    text: str = field.type.__metadata__[-1].description
    return text


def _default_text(default: object) -> str:
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
