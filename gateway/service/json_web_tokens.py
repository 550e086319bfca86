"""JSON Web Tokens (RFC 7519) of apps, which the public key of their resource verifies."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.core.faults import Refusal
from gateway.media import json
from gateway.optional_dependencies import require_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MAX_CHARACTERS = 32 * 1024
"""Of a JWT: its payload is at most 16 KiB, as the vendor's SDKs limit it."""

LEEWAY = 60_000
"""Milliseconds by which clocks may differ."""

Key: TypeAlias = "tuple[str, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey]"
"""The algorithm of a key, and the key."""


class InvalidToken(Exception):
    """A JWT that is not accepted. The message is the reason, without a value of the token."""


class InvalidKey(Exception):
    """A public key that cannot be used. The message is the reason."""


def verify(jwt: str, public_key: str, now: int) -> Mapping[str, Any]:
    """Return the claims of a JWT that this key (PEM) verifies, at a time in milliseconds since 1970.

    The type of the key decides the algorithm, never the token. Raises `InvalidToken`.
    """
    try:
        from jwt import InvalidAlgorithmError, InvalidSignatureError, PyJWS, PyJWTError
    except ImportError:
        raise InvalidToken("JWTs need the extra jwt of the gateway") from None

    if len(jwt) > MAX_CHARACTERS:
        raise InvalidToken("the credential is no JWT")
    algorithm, key = _key(public_key)
    try:
        payload = PyJWS([algorithm]).decode(jwt, key, [algorithm])
    except InvalidAlgorithmError:
        raise InvalidToken(f"the algorithm of the JWT is not that of the key, {algorithm}") from None
    except InvalidSignatureError:
        raise InvalidToken("the key of the resource does not verify the JWT") from None
    except (PyJWTError, ValueError, RecursionError):  # the library lets a deeply nested header through to the parser
        raise InvalidToken("the credential is no JWT") from None
    claims = _object(payload)
    _check_times(claims, now)
    return claims


def require_key(public_key: str) -> None:
    """Raise `InvalidKey` if JWTs cannot be verified with a key (PEM). Raises `MissingExtra` without the library."""
    require_extra("jwt", "jwt")
    _key(public_key)


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    for name in ("exp", "nbf"):
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise InvalidToken(f"{name} of the JWT is no number")
    if "exp" in claims and now > claims["exp"] * 1000 + LEEWAY:
        raise InvalidToken("the JWT has expired")
    if "nbf" in claims and now < claims["nbf"] * 1000 - LEEWAY:
        raise InvalidToken("the JWT is not valid yet")


def _object(payload: bytes) -> dict[str, Any]:
    try:
        value = json.decode(payload)
    except Refusal:
        value = None
    if not isinstance(value, dict):
        raise InvalidToken("the credential is no JWT")
    return value


@lru_cache(maxsize=256)
def _key(public_key: str) -> Key:
    """Return a key and its algorithm. Raises `InvalidKey`."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key.encode())
    except ValueError:
        raise InvalidKey("it is no public key in PEM") from None
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256", key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA", key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256", key
    raise InvalidKey("it must be a key of RSA, of the curve P-256, or of Ed25519")
