"""Normal forms of e-mail addresses and phone numbers, for comparison.

They are in identities only and never replace the value that a client sent. None means: no such value.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from unicodedata import normalize

import email_validator
import phonenumbers

from gateway.core.result_cache import ResultCache

T = TypeVar("T")

MAX_TEXT_LENGTH = 256
"""Characters of a text that has a normal form. RFC 5321 allows 254; longer texts would fill the memory."""

# The library rejects reserved top-level names such as .test and .local. Companies use them in their own networks.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

_PHONE = re.compile(r"(?:tel:)?\+[0-9 ().\-/]+", re.ASCII)
_PHONE_DIGITS = re.compile(r"[1-9][0-9]{10,}", re.ASCII)
"""An international number without `+`. A shorter one may be national, and would become a number of another country."""


def cache_results(form: Callable[[str], T | None]) -> Callable[[str], T | None]:
    """Cache the recent results of a form. A text longer than `MAX_TEXT_LENGTH` has no form and is not cached."""

    @wraps(form)
    def form_of_any(text: str) -> T | None:
        return form(text) if len(text) <= MAX_TEXT_LENGTH else None

    return ResultCache(form_of_any).__getitem__


@cache_results
def phone(value: str) -> str | None:
    """Return E.164 of an international phone number (RFC 3966's `tel:` is allowed), else None.

    The `+` may be missing if there are only digits, at least 11, and the first is not 0.
    Letters, extensions and digits outside ASCII are rejected: each would silently become another number.
    """
    text = value.strip(" \t\r\n")
    if _PHONE_DIGITS.fullmatch(text):
        text = f"+{text}"
    if not _PHONE.fullmatch(text):
        return None
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_PLAIN_EMAIL = re.compile(
    r"[a-z0-9]+(?:[._+-][a-z0-9]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}", re.ASCII | re.IGNORECASE
)
"""An address that is only lowered: its domain has no label with two hyphens in a row, such as one of IDNA."""

_PLAIN_EMAIL_LENGTH = 64
"""Characters up to which a local part, a label and a domain are short enough in any case (RFC 5321, 4.5.3.1)."""


@cache_results
def email(value: str) -> str | None:
    """Return an address (RFC 5321, 6531) in NFC and lower case with its domain in IDNA's ASCII form, else None.

    Characters whose normal form is an ASCII letter (Kelvin sign, full-width letters) are rejected: two addresses that
    look alike must not be equal.
    """
    if len(value) <= _PLAIN_EMAIL_LENGTH and _PLAIN_EMAIL.fullmatch(value):
        return value.lower()
    return any_email(value)


def any_email(value: str) -> str | None:
    """Return what `email` does, of an address of any form. The library takes 20 µs."""
    if _has_ascii_lookalikes(value):
        return None
    try:
        address = email_validator.validate_email(
            value,
            check_deliverability=False,
            globally_deliverable=False,
            allow_quoted_local=True,
            allow_domain_literal=True,
        )
    except email_validator.EmailNotValidError:
        return None
    if value.startswith('"') and not address.local_part.isascii():
        return None
    domain = address.ascii_domain or address.domain
    if _folded(value.rpartition("@")[2]) not in (_folded(address.domain), _folded(domain)):
        return None
    return f"{_folded(address.local_part)}@{_folded(domain)}"


def _folded(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).lower())


def _has_ascii_lookalikes(text: str) -> bool:
    return not text.isascii() and any(ord(sign) > 127 and normalize("NFC", sign).lower().isascii() for sign in text)
