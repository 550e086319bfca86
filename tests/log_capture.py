"""Captures everything that the gateway logs while the tests run, and finds personal data in it. Asserts nothing."""

import logging
import re
from collections.abc import Iterator
from functools import cache

from tests.cases import FIXTURES, TOKENS

NAMES = "_fname|_lname|given_name|family_name|first_name|last_name"
PERSONAL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.[\w.]+"  # an address
    r"|\+\d[\d ()-]{8,18}\d"  # a phone
)
NAMED = re.compile(rf'"(?:{NAMES})"\s*:\s*"(\w{{4,}})"|<(?:{NAMES})>(\w{{4,}})<')


@cache
def canaries() -> set[str]:
    """Every token, address, phone and name that a conversation of `fixtures/` sends."""
    return {*TOKENS, *(found for file in FIXTURES.glob("*/*/request.*") for found in _personal(file.read_bytes()))}


def _personal(body: bytes) -> Iterator[str]:
    text = body.decode("utf-8", "replace")
    yield from PERSONAL.findall(text)
    for names in NAMED.findall(text):
        yield from filter(None, names)


class LogCapture(logging.Handler):
    """Captures the messages of loggers, with tracebacks, and the lines of the access log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def write(self, lines: bytes) -> None:
        self.lines.append(lines.decode())

    def leaks(self) -> set[str]:
        """Return the canaries in the captured lines."""
        text = "\n".join(self.lines)
        return {canary for canary in canaries() if canary in text}
