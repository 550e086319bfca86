"""Credentials of resources: a token that pages and apps send, or a JWT that the key of the resource verifies."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from gateway.core.faults import Refusal, refuse
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database
from gateway.dialects.protocol import ResourceCredential
from gateway.service.json_web_tokens import InvalidToken, verify

Found: TypeAlias = tuple[Database, int, Mapping[str, Any] | None]
"""A database, the id of one of its resources, and the claims of a JWT."""


def resource_of(named: ResourceCredential, database: Database) -> int:
    """Return the resource of a database, by its id or its token. Raises `Refusal`: unknown_resource."""
    if named.id is not None:
        if database.closed and named.id not in database.resources:
            raise refuse("unknown_resource", f"there is no resource {named.id}", named.pointer)
        return named.id
    for id in _by_token(named, database):
        return id
    raise refuse("unknown_resource", "no resource has this token", named.pointer)


def find_resource(named: ResourceCredential, databases: Iterable[Database]) -> Found:
    """Return the resource that a credential names alone.

    Raises `Refusal`: unknown_resource where a parameter has it; else unknown_token.
    """
    if named.jwt is not None:
        return _by_key(named.jwt, databases, named.time)
    for database in databases:
        for id in _by_token(named, database):
            return database, id, None
    if named.pointer:
        raise refuse("unknown_resource", "no resource has this token", named.pointer)
    raise refuse("unknown_token")


def _by_token(named: ResourceCredential, database: Database) -> Iterable[int]:
    """Return the resource with the token, if there is one."""
    hash = fingerprint(named.token or "")
    return [each.id for each in database.resources.values() if each.token_hash == hash and named.token]


def _by_key(jwt: str, databases: Iterable[Database], time: int) -> Found:
    """Return the resource whose key verifies a JWT. Its claim `db_id` of `matching`, if any, names the database."""
    reason: Refusal = refuse("unknown_token", "no resource has a key for this JWT")
    for database in databases:
        for resource in database.resources.values():
            if resource.public_key is None:
                continue
            try:
                claims = verify(jwt, resource.public_key, time)
            except InvalidToken as error:
                reason = refuse("unknown_token", str(error))
                continue
            return database, resource.id, claims
    raise reason
