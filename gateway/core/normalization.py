"""Normal forms: the one spelling under which values that mean the same are compared.

A normal form never replaces the value a client sent; it lives in identities only. None means: not such a value at all.
"""

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar
from unicodedata import normalize

import email_validator
import phonenumbers

T = TypeVar("T")

CACHE_SIZE, MAX_TEXT_LENGTH = 16_384, 256
"""How many recent values keep their answer: parsing costs 12 µs (phone) and 21 µs (e-mail), looking up 0.1 µs.

And how long each may be: a longer text has no normal form (RFC 5321 allows 254), and thousands fill the memory."""

# The library refuses reserved top-level names such as .test and .local: real addresses inside a company's own network.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

_PHONE = re.compile(r"(?:tel:)?\+[0-9 ().\-/]+", re.ASCII)


def cache_results(form: Callable[[str], T]) -> Callable[[str], T | None]:
    """A form of short texts that keeps its recent answers; a text past `MAX_TEXT_LENGTH` has none, and is not kept."""
    recent = lru_cache(CACHE_SIZE)(form)

    @wraps(form)
    def answer(text: str) -> T | None:
        return recent(text) if len(text) <= MAX_TEXT_LENGTH else None

    return answer


@cache_results
def phone(value: str) -> str | None:
    """E.164 of an international phone number (RFC 3966's `tel:` is allowed), else None.

    Letters, extensions and digits other than ASCII's are refused: each would silently become another number.
    """
    spelling = value.strip(" \t\r\n")
    if not _PHONE.fullmatch(spelling):
        return None
    try:
        number = phonenumbers.parse(spelling)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@cache_results
def email(value: str) -> str | None:
    """An address (RFC 5321, 6531) in Unicode NFC and lower case, its domain in IDNA's ASCII form, else None.

    Characters that another character's normal form would swallow (Kelvin sign, full-width letters) are refused, so that
    two addresses that merely look alike are never one.
    """
    if _has_swallowed_letters(value):
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


def _has_swallowed_letters(text: str) -> bool:
    return not text.isascii() and any(ord(sign) > 127 and normalize("NFC", sign).lower().isascii() for sign in text)
