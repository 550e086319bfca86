"""Signatures of webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""

from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import new as new_hmac
from secrets import token_bytes

PREFIX = "whsec_"
MIN_BYTES, NEW_BYTES, MAX_BYTES = 24, 32, 64
"""Bytes of a secret, without its prefix and encoding."""


def new_secret() -> str:
    """Return a random secret."""
    return PREFIX + b64encode(token_bytes(NEW_BYTES)).decode()


def secret_bytes(secret: str) -> bytes:
    """Return the key of a secret. Raises `ValueError` with the reason if it is none."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"it must begin with {PREFIX}")
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError(f"what follows {PREFIX} must be base64") from None
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(f"it must have from {MIN_BYTES} to {MAX_BYTES} bytes, it has {len(key)}")
    return key


def signature_headers(key: bytes, id: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message that is sent at a time (seconds since 1970)."""
    signature = new_hmac(key, f"{id}.{seconds}.".encode() + body, sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{b64encode(signature).decode()}",
    }
