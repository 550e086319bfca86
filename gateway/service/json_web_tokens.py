"""JSON Web Tokens (RFC 7519) of apps, which the public key of their resource verifies."""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.core.faults import Refusal
from gateway.media import json
from gateway.optional_dependencies import require_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MAX_CHARACTERS = 32 * 1024
"""Of a JWT: its payload is at most 16 KiB, as the vendor's SDKs limit it."""

LEEWAY = 60_000
"""Milliseconds by which clocks may differ."""

Verify: TypeAlias = "Callable[[bytes, bytes], None]"
"""Verifies a signature of some data. Raises `cryptography.exceptions.InvalidSignature`."""


class InvalidToken(Exception):
    """A JWT that is not accepted. The message is the reason, without a value of the token."""


class InvalidKey(Exception):
    """A public key that cannot be used. The message is the reason."""


def verify(jwt: str, public_key: str, now: int) -> Mapping[str, Any]:
    """Return the claims of a JWT that this key (PEM) verifies, at a time in milliseconds since 1970.

    The type of the key decides the algorithm, never the token. Raises `InvalidToken`.
    """
    try:
        from cryptography.exceptions import InvalidSignature
    except ImportError:
        raise InvalidToken("JWTs need the extra jwt of the gateway") from None

    algorithm, check = _verifier(public_key)
    parts = jwt.split(".")
    if len(parts) != 3 or len(jwt) > MAX_CHARACTERS:
        raise InvalidToken("the credential is no JWT")
    header, claims = _object(parts[0]), _object(parts[1])
    if header.get("alg") != algorithm:
        raise InvalidToken(f"the algorithm of the JWT is not that of the key, {algorithm}")
    try:
        check(_decoded(parts[2]), f"{parts[0]}.{parts[1]}".encode("ascii"))
    except InvalidSignature:
        raise InvalidToken("the key of the resource does not verify the JWT") from None
    _check_times(claims, now)
    return claims


def require_key(public_key: str) -> None:
    """Raise `InvalidKey` if JWTs cannot be verified with a key (PEM). Raises `MissingExtra` without the library."""
    require_extra("cryptography", "jwt")
    _verifier(public_key)


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    for name in ("exp", "nbf"):
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise InvalidToken(f"{name} of the JWT is no number")
    if "exp" in claims and now > claims["exp"] * 1000 + LEEWAY:
        raise InvalidToken("the JWT has expired")
    if "nbf" in claims and now < claims["nbf"] * 1000 - LEEWAY:
        raise InvalidToken("the JWT is not valid yet")


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.decode(_decoded(part))
    except (ValueError, Refusal):
        value = None
    if not isinstance(value, dict):
        raise InvalidToken("the credential is no JWT")
    return value


def _decoded(part: str) -> bytes:
    """Return the bytes of a part in base64url without padding (RFC 7515)."""
    try:
        return urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
    except (UnicodeError, binascii.Error):
        raise InvalidToken("the credential is no JWT") from None


@lru_cache(maxsize=256)
def _verifier(public_key: str) -> tuple[str, Verify]:
    """Return the algorithm of a key, and the function that verifies with it. Raises `InvalidKey`."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key.encode())
    except ValueError:
        raise InvalidKey("it is no public key in PEM") from None
    return _of_type(key)


def _of_type(key: "PublicKeyTypes") -> tuple[str, Verify]:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, rsa.RSAPublicKey):
        return "RS256", lambda signature, data: key.verify(signature, data, padding.PKCS1v15(), SHA256())
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA", key.verify
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):

        def verify_pair(signature: bytes, data: bytes) -> None:
            """Verify a signature that is the pair of numbers side by side (RFC 7518, 3.4)."""
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))

        return "ES256", verify_pair
    raise InvalidKey("it must be a key of RSA, of the curve P-256, or of Ed25519")
