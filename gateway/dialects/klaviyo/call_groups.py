"""Groups of calls, and the vendor's rates."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from gateway.dialects.protocol import ParsedRequest, Reply, Request, Result

CLIENT_RATES = ("350/second", "3500/minute")
FORM_RATES = ("350/second", "750/minute")
PUSH_RATES = ("150/second", "1400/minute")
DEFAULT_RATES = ("75/second", "750/minute")
BULK_RATES = ("10/second", "150/minute")
PRIVACY_RATES = ("3/second", "60/minute")
ACCOUNT_RATES = ("1/second", "15/minute")


CallRow: TypeAlias = "tuple[str, str, str, Callable[[Request], ParsedRequest], Callable[[Result], Reply]]"
"""Method and path, operation, right, parse, render."""


class CallGroup(NamedTuple):
    """Calls with the same rates that exist since the same revision."""

    first_revision: str
    rates: Sequence[str]
    rows: Sequence[CallRow]
