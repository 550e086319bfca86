"""Log messages about failures of the gateway itself. None of them contains a value of a request."""

import logging

from gateway.stores.errors import Unavailable, Unusable

log = logging.getLogger("gateway")


class OutageLog:
    """Logs the start and the end of a store's outage once, not per request. `is_out`: whether one is logged."""

    def __init__(self) -> None:
        self.is_out = False

    def begin(self, reason: Unavailable, request_id: str) -> None:
        """Log the start, if no outage is logged yet."""
        if not self.is_out:
            text = str(reason) if isinstance(reason, Unusable) else type(reason.__cause__ or reason).__name__
            log.error("the store is unavailable: %s", text, extra={"request_id": request_id})
        self.is_out = True

    def end(self) -> None:
        """Log the end of an outage."""
        log.warning("the store answers again")
        self.is_out = False


def log_unexpected(error: BaseException, request_id: str) -> None:
    """Log the type and the place of an error, but not its text, which may contain personal data."""
    frames = []
    trace = error.__traceback__
    while trace:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    places = " < ".join(reversed(frames))
    log.error("unexpected %s at %s", type(error).__name__, places, extra={"request_id": request_id})
