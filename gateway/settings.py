"""The settings: environment → one frozen value.

The field `max_body` is the variable `GATEWAY_MAX_BODY`, and so for every field: its type, bounds, default and
description stand here and nowhere else. This file reads no environment of its own; it is handed one.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo, fields

PREFIX = "GATEWAY_"
TESTS = "GATEWAY_TEST_"
"""What the tests are told, such as a server to use; no setting of the gateway begins so."""

Visible = Annotated[str, Meta(pattern=r"^[!-~]+\Z")]
"""What header, query and body can all carry unchanged."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may decide."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port to listen on, 0 for a free one")] = 8080
    store: Annotated[str, Meta(description="URL of the store, sqlite:///FILE or postgresql://HOST/NAME")] = (
        "sqlite:///gateway.db"
    )
    workers: Annotated[int, Meta(ge=1, le=256, description="processes that serve")] = 1
    bootstrap_token: Annotated[
        Visible | None, Meta(description="first token of database 1, with all rights, in visible ASCII; unset: random")
    ] = None
    bootstrap_company_id: Annotated[str, Meta(description="public id that database 1 is made with")] = "demo"
    geoip: Annotated[str | None, Meta(description="MaxMind-format file for detect_geo; unset: it fills nothing")] = None
    keep_changes_days: Annotated[
        int, Meta(ge=1, le=36_500, description="days that recorded changes and jobs are kept")
    ] = 30
    max_body: Annotated[int, Meta(ge=1, description="bytes a body with one profile may have")] = 1_048_576
    max_batch_body: Annotated[int, Meta(ge=1, description="bytes a body with a batch may have")] = 10_485_760
    max_batch: Annotated[int, Meta(ge=1, description="profiles a batch may have")] = 10_000
    max_depth: Annotated[int, Meta(ge=1, le=256, description="levels of nesting a body may have")] = 32
    max_nodes: Annotated[int, Meta(ge=1, description="elements a profile may have, in all")] = 10_000
    max_name: Annotated[int, Meta(ge=1, description="characters a member's name may have")] = 4_096
    max_text: Annotated[int, Meta(ge=1, description="characters a text may have")] = 1_048_576
    max_items: Annotated[
        int, Meta(ge=1, description="elements a list may have, such as subscriptions; a batch is no such list")
    ] = 10_000
    max_compression: Annotated[
        int, Meta(ge=1, description="how many times its size a body with a Content-Encoding may grow to")
    ] = 100
    max_held_bodies: Annotated[
        int, Meta(ge=1, description="bytes that all bodies may have which have not come whole yet; more get 503")
    ] = 134_217_728
    max_requests: Annotated[
        int, Meta(ge=1, description="requests that a process works on at the same time; more get 503")
    ] = 1_000
    altcraft_always_200: Annotated[
        bool, Meta(description="answer Altcraft's calls with HTTP 200 even where error is not 0")
    ] = False
    courier_max_body: Annotated[int, Meta(ge=1, description="bytes a body of Courier's calls may have")] = 6_291_456
    klaviyo_lenient_revision: Annotated[
        bool, Meta(description="take Klaviyo's calls without a revision header too")
    ] = False
    rate_limits: Annotated[
        float, Meta(ge=0, description="how many times the vendors' rate limits a credential gets; 0: no limits")
    ] = 1.0
    token_rate: Annotated[
        Annotated[str, Meta(pattern=r"^[1-9][0-9]*/(second|minute|hour|day)\Z")] | None,
        Meta(description="requests of one token that a process takes, such as 500/second; unset: any number"),
    ] = None
    log_level: Annotated[
        Literal["critical", "error", "warning", "info", "debug"],
        Meta(description="least level that is logged: critical, error, warning, info or debug"),
    ] = "info"
    access_log: Annotated[bool, Meta(description="log each answer on standard output, a JSON line each")] = True
    metrics_token: Annotated[
        Visible | None, Meta(description="token that GET /metrics asks for, in visible ASCII; unset: it is not there")
    ] = None
    max_connections: Annotated[int, Meta(ge=1, description="open connections of a process; more get 503")] = 10_000
    max_pipelined: Annotated[
        int, Meta(ge=1, description="requests that may wait on one connection for the answer to an earlier one")
    ] = 32
    max_headers: Annotated[int, Meta(ge=1, description="headers a request may have")] = 100
    max_header_bytes: Annotated[int, Meta(ge=1, description="bytes the request line and headers may have")] = 32_768
    header_seconds: Annotated[float, Meta(gt=0, description="seconds in which the headers must have come")] = 10.0
    body_seconds: Annotated[
        float, Meta(gt=0, description="seconds a client may take without sending on its body, or taking its reply")
    ] = 30.0
    min_body_rate: Annotated[
        int, Meta(ge=0, description="bytes a second that a body must bring on average, once body_seconds are over")
    ] = 500
    shutdown_seconds: Annotated[
        int, Meta(ge=1, le=3_600, description="seconds that requests in flight get when the gateway stops")
    ] = 30

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], **overrides: str | None) -> Self:
        """The settings of an environment; an override, by field name, wins where it is not None.

        Raises `ValueError`, which names every wrong variable and the reason.
        """
        flags = {variable(field): text for field, text in overrides.items() if text is not None}
        values, problems = {}, []
        for name, text in (_given(environ) | flags).items():
            try:
                values[name.removeprefix(PREFIX).lower()] = _read(name, text)
            except ValueError as reason:
                problems.append(f"{name}: {reason}")
        if problems:
            raise ValueError("; ".join(problems))
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Return the values by field name."""
        return msgspec.structs.asdict(self)


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def table() -> list[tuple[str, str, str]]:
    """(variable, default, description) of every setting, as the README and `--help` show them."""
    return [(name, _shown(field.default), _description(field)) for name, field in _FIELDS.items()]


_FIELDS = {variable(field.name): field for field in fields(Settings)}


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """The gateway's own variables. An empty one counts as unset: so compose files hand on what they were not given."""
    return {name: text for name, text in environ.items() if text and _is_ours(name)}


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(TESTS)


def _read(name: str, text: str) -> Any:
    if name not in _FIELDS:
        raise ValueError(f"there is no such setting; did you mean {get_close_matches(name, _FIELDS, cutoff=0)[0]}?")
    try:
        return msgspec.convert(text, _FIELDS[name].type, strict=False)
    except msgspec.ValidationError as reason:
        raise ValueError(f"{reason} ({_description(_FIELDS[name])})") from None


def _description(field: FieldInfo) -> str:
    text: str = field.type.__metadata__[-1].description
    return text


def _shown(default: object) -> str:
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
