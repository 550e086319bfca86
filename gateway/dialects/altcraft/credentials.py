"""The credentials of Altcraft's requests: a secret token, or what an app has for its resource."""

from gateway.core.faults import refuse
from gateway.dialects.protocol import Credential, Request, ResourceCredential

ROLE_TOKEN = "rtoken@"
"""What a Bearer token begins with that is the token of a resource. Any other one of an app is a JWT."""


def secret_credential(request: Request) -> Credential:
    """Return the token of the body, or else a Bearer token (RFC 6750), or else the token of the query."""
    tree = request.tree
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    for token in (
        tree.get("token") if isinstance(tree, dict) else None,
        bearer if scheme.lower() == "bearer" else None,
        request.query.get("token"),
    ):
        if not isinstance(token, str | None):
            raise refuse("invalid_parameter", "it must be a string", "/token")
        if token and (secret := token.strip()):
            return Credential(secret)
    raise refuse("no_token")


def app_credential(request: Request) -> Credential:
    """Return the Bearer token of an app: the token of a resource, or a JWT. Raises `Refusal`: no_token."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    bearer = bearer.strip()
    if scheme.lower() != "bearer" or not bearer:
        raise refuse("no_token")
    if bearer.startswith(ROLE_TOKEN):
        return Credential(resource=ResourceCredential(token=bearer.removeprefix(ROLE_TOKEN)))
    return Credential(resource=ResourceCredential(jwt=bearer, time=request.now))
