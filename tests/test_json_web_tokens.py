"""JWTs of apps: which key verifies them, and which are refused."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.service.json_web_tokens import MAX_CHARACTERS, InvalidKey, InvalidToken, require_key, verify
from tests.cases import NOW

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
CLAIMS = {"matching": {"db_id": 1, "matching": "email", "email": "ann@example.com"}}


def pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def sign_rsa(data: bytes) -> bytes:
    return RSA_KEY.sign(data, padding.PKCS1v15(), SHA256())


def sign_ec(data: bytes) -> bytes:
    r, s = decode_dss_signature(EC_KEY.sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


SIGNERS: Mapping[str, tuple[Any, Callable[[bytes], bytes]]] = {
    "RS256": (RSA_KEY, sign_rsa),
    "ES256": (EC_KEY, sign_ec),
    "EdDSA": (ED_KEY, ED_KEY.sign),
}


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: Any, algorithm: str, sign: Callable[[bytes], bytes]) -> str:
    head = ".".join(encoded(json.dumps(each).encode()) for each in ({"alg": algorithm}, claims))
    return f"{head}.{encoded(sign(head.encode()))}"


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_key_verifies_what_it_signed(algorithm: str) -> None:
    key, sign = SIGNERS[algorithm]
    require_key(pem(key))
    assert verify(signed(CLAIMS, algorithm, sign), pem(key), NOW) == CLAIMS


@pytest.mark.parametrize("named", ["none", "HS256", "RS256", "ES256", "EdDSA", "RS512", None])
@pytest.mark.parametrize("algorithm", SIGNERS)
def test_the_key_decides_the_algorithm(algorithm: str, named: Any) -> None:
    key, sign = SIGNERS[algorithm]
    if named != algorithm:
        with pytest.raises(InvalidToken, match="algorithm"):
            verify(signed(CLAIMS, named, sign), pem(key), NOW)


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_another_signature_is_refused(algorithm: str) -> None:
    key, sign = SIGNERS[algorithm]
    head, body, signature = signed(CLAIMS, algorithm, sign).split(".")
    other = encoded(json.dumps({"matching": {}}).encode())
    for jwt in (f"{head}.{other}.{signature}", f"{head}.{body}.", f"{head}.{body}.{signature[:-4]}"):
        with pytest.raises(InvalidToken):
            verify(jwt, pem(key), NOW)


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ({"exp": NOW / 1000 - 61}, "expired"),
        ({"nbf": NOW / 1000 + 61}, "not valid yet"),
        ({"exp": "tomorrow"}, "exp of the JWT is no number"),
        ({"nbf": True}, "nbf of the JWT is no number"),
    ],
)
def test_times_are_honoured(times: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidToken, match=reason):
        verify(signed({**CLAIMS, **times}, "EdDSA", ED_KEY.sign), pem(ED_KEY), NOW)


def test_clocks_may_differ_by_a_minute() -> None:
    times = {"exp": NOW // 1000 - 59, "nbf": NOW // 1000 + 59}
    assert verify(signed({**CLAIMS, **times}, "EdDSA", ED_KEY.sign), pem(ED_KEY), NOW)["exp"] == times["exp"]


@given(st.text(max_size=30) | st.from_regex(r"[\w.=-]{0,40}", fullmatch=True))
def test_no_text_is_a_jwt(text: str) -> None:
    with pytest.raises(InvalidToken):
        verify(text, pem(ED_KEY), NOW)


@pytest.mark.parametrize(
    "head", ['{"alg": "EdDSA", "a": ' + "[" * 20_000, '{"alg": ["EdDSA"]}', '{"alg": "EdDSA", "crit": ["x"]}']
)
def test_a_header_that_cannot_be_read_is_refused(head: str) -> None:
    part = f"{encoded(head.encode())}.{encoded(b'{}')}"
    with pytest.raises(InvalidToken):
        verify(f"{part}.{encoded(ED_KEY.sign(part.encode()))}", pem(ED_KEY), NOW)


@pytest.mark.parametrize("claims", ["text", [1], None, {"a": "x" * MAX_CHARACTERS}])
def test_claims_are_an_object_of_limited_size(claims: Any) -> None:
    with pytest.raises(InvalidToken):
        verify(signed(claims, "EdDSA", ED_KEY.sign), pem(ED_KEY), NOW)


@pytest.mark.parametrize("text", ["", "no key", pem(ec.generate_private_key(ec.SECP384R1()))])
def test_a_key_that_cannot_verify_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        require_key(text)
