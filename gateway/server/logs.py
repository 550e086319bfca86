"""The log: messages on standard error, each with its time, its level and, where there is one, a request id."""

import logging
import time
from logging.config import dictConfig
from typing import Any


class LogFormatter(logging.Formatter):
    """Formats a message as `TIME LEVEL MESSAGE [request ID]`. The time is in UTC (RFC 3339)."""

    converter = time.gmtime  # type: ignore[assignment]  # typeshed: a narrower type
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        """Return the line of a record, without a traceback."""
        request_id = getattr(record, "request_id", "")
        line = super().formatMessage(record)
        return f"{line} [request {request_id}]" if request_id else line


def log_config(level: str) -> dict[str, Any]:
    """Return the configuration (`logging.config`) of every process, with the least level that is logged."""
    logger = {"handlers": ["stderr"], "level": level.upper()}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": LogFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {"gateway": logger, "uvicorn": {**logger, "propagate": False}},
    }


def configure_logs(level: str) -> None:
    """Configure the log of this process."""
    dictConfig(log_config(level))
