"""How a secret is known without being kept."""

from hashlib import sha256


def fingerprint(secret: str) -> str:
    """The SHA-256 of a secret, in hexadecimal. Unsalted: our secrets are random, not passwords.

    Any text a client can send has one; none but visible ASCII is ever a token.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
