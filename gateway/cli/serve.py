"""The command `serve`: the server."""

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from tempfile import mkdtemp
from typing import Any

import click
import uvicorn

from gateway.cli.listening import find_port
from gateway.cli.options import read_fields, setting
from gateway.cli.store import InvalidSettings, load_settings, now, require_lasting_store, run_on_store
from gateway.optional_dependencies import OTLP_EXPORTER, MissingExtra, require_extra
from gateway.server import workers
from gateway.server.connection_limits import ConnectionLimits
from gateway.server.dependencies import missing_internals
from gateway.server.http1 import Http1Connections
from gateway.server.logs import configure_logs, log_config
from gateway.server.public_address import parse_networks
from gateway.server.start_message import address, start_message
from gateway.service.bootstrap import bootstrap
from gateway.service.geolocation import Geolocator
from gateway.service.pseudonyms import open_pseudonyms
from gateway.settings import Settings, variable

log = logging.getLogger("gateway")

RESERVED_FILES = 128
"""The maximum of open files of a process besides its connections: those of the store, the libraries and the log."""


@click.command()
@setting("host")
@setting("port")
@setting("store")
@setting("workers")
@click.option(
    "--fields",
    "bootstrap_fields",
    metavar="FILE",
    help="JSON Schema of database 1's own fields when it is created  [env: GATEWAY_BOOTSTRAP_FIELDS]",
)
def serve(**flags: str | None) -> None:
    """Serve until SIGTERM or SIGINT. Requests in flight are answered first.

    An empty store gets database 1, and a token: GATEWAY_BOOTSTRAP_TOKEN, or else a random one that is printed once, on
    a terminal only.
    """
    settings = load_settings(**flags)
    _validate(settings)
    port = find_port(settings.host, settings.port)
    configure_logs(settings.log_level)
    _create_first_token(settings, port)
    if run_on_store(settings, lambda store: open_pseudonyms(store, settings.secret_file)) is None:
        if settings.keep_refused_days:
            raise InvalidSettings(f"{variable('secret_file')} is not set: {variable('keep_refused_days')} needs it")
        log.warning("GATEWAY_SECRET_FILE is not set: a privacy deletion keeps opt-outs under their addresses")
    if settings.geoip is None:
        log.warning("GATEWAY_GEOIP is not set: detect_geo fills nothing")
    # The workers are processes of their own and read their settings from the environment.
    os.environ.update({variable(field): text for field, text in flags.items() if text is not None})
    if settings.workers > 1 and settings.metrics_token:
        # The workers count in files of this folder, which is empty at each start.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", mkdtemp(prefix="gateway-metrics-"))
    workers.serve(_server_config(settings, port))


def _validate(settings: Settings) -> None:
    """Report what would otherwise fail in each worker. Raises `ClickException`."""
    if missing := missing_internals():
        raise click.ClickException("; ".join(missing))
    require_lasting_store(settings)
    try:
        if settings.metrics_token:
            require_extra("prometheus_client", "metrics")
        if settings.tracing:
            require_extra(OTLP_EXPORTER, "tracing")
        if settings.console:
            require_extra("jinja2", "console")
    except MissingExtra as error:
        raise InvalidSettings(str(error)) from None
    _validate_setting("geoip", settings.geoip, Geolocator)
    _validate_setting("trusted_proxies", settings.trusted_proxies, parse_networks)


def _validate_setting(field: str, value: str | None, use: Callable[[str | None], object]) -> None:
    try:
        use(value)
    except MissingExtra as error:
        raise InvalidSettings(str(error)) from None
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"{variable(field)}: {error}") from None


def _create_first_token(settings: Settings, port: int) -> None:
    """Create database 1 and its token in an empty store, and print how to use the gateway."""
    is_terminal = sys.stderr.isatty()
    first_start = partial(
        bootstrap, settings=settings, now=now(), creates_token=is_terminal, fields=_bootstrap_fields(settings)
    )
    secret = run_on_store(settings, first_start, create=True)
    url, has_given_token = address(settings.host, port), settings.bootstrap_token is not None
    click.echo(start_message(version("profile-gateway"), settings.store, url, secret, has_given_token), err=True)


def _bootstrap_fields(settings: Settings) -> dict[str, Any] | None:
    """Return the fields that the settings declare. Raises `InvalidSettings`."""
    file = settings.bootstrap_fields
    try:
        return read_fields(Path(file)) if file else None
    except OSError as error:
        raise InvalidSettings(f"{variable('bootstrap_fields')}: {file}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidSettings(f"{variable('bootstrap_fields')}: {error}") from None


def _server_config(settings: Settings, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        "gateway.server.app:from_environment",
        factory=True,
        host=settings.host,
        port=port,
        workers=settings.workers,
        loop="uvloop",
        http=Http1Connections(_connection_limits(settings)),  # type: ignore[arg-type]  # called like a protocol class
        lifespan="on",
        access_log=False,
        proxy_headers=False,  # the client's address is not used
        server_header=False,
        log_config=log_config(settings.log_level),
        log_level=settings.log_level,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def _connection_limits(settings: Settings) -> ConnectionLimits:
    return ConnectionLimits(
        _raise_file_limit(settings.max_connections),
        settings.header_seconds,
        settings.max_header_bytes,
        settings.max_headers,
        settings.body_seconds,
        settings.min_body_rate,
        settings.max_pipelined,
    )


def _raise_file_limit(connections: int) -> int:
    """Raise this process's limit of open files as far as the system permits, and return how many connections fit."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    wanted = connections + RESERVED_FILES
    files = wanted if hard == RLIM_INFINITY else min(wanted, hard)
    if soft != RLIM_INFINITY and soft < files:
        setrlimit(RLIMIT_NOFILE, (files, hard))
    fitting = max(1, files - RESERVED_FILES)
    if fitting < connections:
        log.warning("the system permits %d open files: at most %d connections, not %d", files, fitting, connections)
    return fitting
