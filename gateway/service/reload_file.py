"""The settings that are read again while the gateway serves, from a file of lines NAME=VALUE."""

from collections.abc import Mapping
from pathlib import Path

from gateway.settings import Settings, variable

RELOADED_SETTINGS = (
    *("log_level", "rate_limits", "token_rate", "max_requests", "max_batch"),
    *("max_depth", "max_nodes", "max_name", "max_text", "max_items"),
)
"""The fields of these settings."""

_NAMES = frozenset(map(variable, RELOADED_SETTINGS))
_FILE = variable("reload_file")


def read_settings(environ: Mapping[str, str], **overrides: str | None) -> Settings:
    """Return the settings of an environment and of the file that it names, which takes precedence.

    Raises `ValueError` with the reason if a setting is invalid, or if the file cannot be read.
    """
    path = environ.get(_FILE)
    return Settings.from_environment({**environ, **(_read(path) if path else {})}, **overrides)


def _read(path: str) -> dict[str, str]:
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{_FILE}: {error}") from None
    values = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            name, _, value = map(str.strip, line.partition("="))
            if name not in _NAMES:
                raise ValueError(f"{path}, line {number}: {name} is no setting that is reloaded")
            values[name] = value
    return values
