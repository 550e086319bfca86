"""Settings that are read again on SIGHUP."""

import logging
from collections.abc import Callable

from gateway.server.logs import configure_logs
from gateway.settings import Settings

log = logging.getLogger("gateway")


def reload_settings(read: Callable[[], Settings], apply: Callable[[Settings], object]) -> None:
    """Read the settings, and apply them. Invalid ones are logged, and the present ones stay."""
    try:
        settings = read()
    except ValueError as error:
        log.error("the settings were not reloaded: %s", error)
        return
    configure_logs(settings.log_level)
    apply(settings)
    log.warning("the settings were reloaded")
