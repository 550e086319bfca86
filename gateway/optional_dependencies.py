"""Optional dependencies: a missing one is reported with the command that installs it."""

from importlib import import_module

OTLP_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
"""The module of the extra `tracing` that has all others of it."""


class MissingExtra(ImportError):
    """An extra of the package that is needed but not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"this needs an extra: pip install 'profile-gateway[{extra}]'")


def require_extra(module: str, extra: str) -> None:
    """Import a library. Raises `MissingExtra` if it is not installed."""
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(extra) from error
