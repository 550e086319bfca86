"""The hash under which a secret is stored and found."""

from hashlib import sha256


def fingerprint(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal. It needs no salt: secrets are random, not passwords.

    Every text has one, also with unpaired surrogates.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
