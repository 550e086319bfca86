"""Encrypts the secrets of webhooks (AES-256-GCM), so that a copy of the store alone does not reveal them."""

from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import new as new_hmac
from os import urandom
from typing import TYPE_CHECKING

from gateway.core.subscribers import Subscriber
from gateway.optional_dependencies import MissingExtra, require_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
PURPOSE = b"profile-gateway: secrets of subscribers"
"""The key of the file is also that of keyed hashes: each purpose has a key of its own."""


class UnusableSecret(Exception):
    """The secret of a webhook cannot be decrypted. The message is the reason."""


class SecretBox:
    """Encrypts and decrypts. A text is bound to the name of its subscriber, and is of no use to another one."""

    def __init__(self, cipher: "AESGCM") -> None:
        self._cipher = cipher

    def encrypt(self, secret: str, name: str) -> str:
        """Return a secret as text for the store."""
        nonce = urandom(NONCE_BYTES)
        return b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), name.encode())).decode()

    def decrypt(self, text: str, name: str) -> str:
        """Return the secret of a text of the store. Raises `UnusableSecret`."""
        from cryptography.exceptions import InvalidTag

        data = b64decode(text)
        try:
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name.encode()).decode()
        except InvalidTag:
            raise UnusableSecret("its secret was encrypted with another key than that of GATEWAY_SECRET_FILE") from None


def open_box(key: bytes) -> SecretBox:
    """Return the box of the key of `GATEWAY_SECRET_FILE`. Raises `MissingExtra` if the library is not installed."""
    require_extra("cryptography", "webhooks")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return SecretBox(AESGCM(new_hmac(key, PURPOSE, sha256).digest()))


def secret_of(subscriber: Subscriber, key: bytes | None) -> str:
    """Return the secret of a subscriber, with the key of `GATEWAY_SECRET_FILE`. Raises `UnusableSecret`."""
    if key is None:
        raise UnusableSecret("GATEWAY_SECRET_FILE is not set")
    try:
        box = open_box(key)
    except MissingExtra as reason:
        raise UnusableSecret(str(reason)) from None
    return box.decrypt(subscriber.secret, secret_name(subscriber))


def secret_name(subscriber: Subscriber) -> str:
    """Return the name that the secret of a subscriber is bound to."""
    return f"{subscriber.database}/{subscriber.id}"
