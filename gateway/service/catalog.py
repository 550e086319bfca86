"""The catalog: the current tokens, databases and compiled schemas.

It caches the store's registry until the registry's version changes. So a revoked token is rejected on the next request,
and a request does not read the registry.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.faults import Refusal, refuse
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Token
from gateway.core.profile_tables import ProfileTables
from gateway.core.rights import OWN_RIGHTS, READ, WRITE
from gateway.dialects.protocol import Call, Credential, Dialect, Request, ResourceCredential
from gateway.schema.compiled import CompiledSchema, compile_schema
from gateway.schema.files import load_schema
from gateway.schema.pointer_mask import PointerMask
from gateway.schema.profile_annotations import profile_tables
from gateway.service.resource_credentials import find_resource
from gateway.stores.protocol import Store


class Grant(Struct, frozen=True):
    """What a credential gives access to, in one dialect. `mask` masks the pointers of its requests.

    `resource` is the one that the credential names, `claims` are those of its JWT.
    """

    token: Token
    database: Database
    schema: CompiledSchema
    mask: PointerMask
    resource: int | None = None
    claims: Mapping[str, Any] | None = None


class Catalog:
    """The contents of the registry. Call `refresh` before the other methods.

    A single update need not call it where `is_checked` is set: the store compares `version` in its transaction.
    """

    def __init__(self, store: Store, dialects: Iterable[Dialect]) -> None:
        self._store = store
        self._constraints = {each.name: load_schema(each.constraints) if each.constraints else {} for each in dialects}
        self.version: int | None = None
        """The version of the registry that was read."""
        self.is_checked = False
        """Whether the store rejects changes that rely on another version of the registry."""
        self._tokens: dict[str, Token] = {}
        self._databases: dict[int, Database] = {}
        self._grants: dict[tuple[str, str], Grant] = {}
        self._schemas: dict[tuple[int, str], CompiledSchema] = {}
        self._kept_schemas: dict[tuple[int, str], CompiledSchema] = {}
        """The last one of each database and dialect: the next version of the registry may declare the same."""
        self._masks: dict[int, PointerMask] = {}
        self._tables: dict[int, ProfileTables] = {}

    async def refresh(self) -> bool:
        """Read the registry again if it may have changed. Return whether that was so."""
        version = self._store.registry_version()
        if version == self.version:
            return False
        tokens, databases = await self._store.tokens(), await self._store.databases()
        # Without a pause from here on: of two refreshes at once, the one with the earlier version may end last.
        self._databases = {database.id: database for database in databases}
        self._tokens = {token.hash: token for token in tokens if not token.revoked}
        self._grants, self._schemas, self._masks, self._tables = {}, {}, {}, {}
        self.version, self.is_checked = version, self._store.checks_registry
        return True

    def grant(self, credential: Credential, dialect: Dialect) -> Grant:
        """Return the grant of a credential. Raises `Refusal`: unknown_token, unknown_company, unknown_resource.

        A company id is public: it has the right to write, but not to read or delete. A resource's own credential has
        the rights that its calls need.
        """
        if credential.resource is not None:
            return self._resource_grant(credential.resource, dialect)
        company = credential.company
        name = f"company {company}" if credential.token is None else fingerprint(credential.token)
        grants = self._grants  # before the tokens, see `_new_grant`
        found = grants.get((name, dialect.name))
        if found is None:
            token = self._tokens.get(name) if credential.token is not None else self._company_token(company)
            if token is None:
                raise refuse("unknown_token")
            found = grants[name, dialect.name] = self._new_grant(token, dialect)
        return found

    def grant_of_token(self, token: Token, dialect: Dialect) -> Grant:
        """Return the grant of a token that `token` or `token_by_id` returned, maybe with other rights."""
        return self._new_grant(token, dialect)

    def database(self, token: Token) -> Database:
        """Return the database of a token."""
        return self._databases[token.database]

    def token_by_id(self, id: str) -> Token | None:
        """Return the token with an id; None if there is none, or it was revoked."""
        return next((each for each in self._tokens.values() if each.id == id), None)

    def token(self, secret: str) -> Token:
        """Return the token of a secret. Raises `Refusal`: unknown_token."""
        token = self._tokens.get(fingerprint(secret))
        if token is None:
            raise refuse("unknown_token")
        return token

    def tables(self, database: int) -> ProfileTables:
        """Return the tables of a database's profiles, which no dialect changes."""
        if database not in self._tables:
            own = self._databases[database].fields.get("properties", {})
            self._tables[database] = profile_tables(load_schema("profile"), own)
        return self._tables[database]

    def _resource_grant(self, named: ResourceCredential, dialect: Dialect) -> Grant:
        database, id, claims = find_resource(named, self._databases.values())
        token = Token(f"resource {database.id}/{id}", "", database.id, frozenset({READ, WRITE}), 0)
        return replace(self._new_grant(token, dialect), resource=id, claims=claims)

    def _company_token(self, company: str | None) -> Token:
        database = next((each.id for each in self._databases.values() if each.company_id == company), None)
        if database is None or company is None:
            raise refuse("unknown_company")
        return Token(f"company {company}", "", database, frozenset({WRITE}), 0)

    def _new_grant(self, token: Token, dialect: Dialect) -> Grant:
        # A thread may run this while the event loop runs `refresh`, which replaces the registry first and these last.
        # So they are read first: what is made of the earlier registry is never found among what is made of the new one.
        schemas, masks = self._schemas, self._masks
        database = self._databases[token.database]
        key = database.id, dialect.name
        if key not in schemas:
            schemas[key] = self._kept_schemas[key] = compile_schema(database, self._constraints[dialect.name])
        if database.id not in masks:
            masks[database.id] = PointerMask(database)
        return Grant(token, database, schemas[key], masks[database.id])


def require_database(grant: Grant, id: object) -> None:
    """Raise `Refusal` unless `id` is the id of the grant's database or None: unknown_database, invalid_parameter.

    An existing database of another token is unknown too.
    """
    if id is not None and (not isinstance(id, int) or isinstance(id, bool)):
        raise refuse("invalid_parameter", "it must be an integer", "/database")
    if id not in (None, grant.database.id):
        raise refuse("unknown_database", f"there is no database {id}", "/database")


def require_right(token: Token, right: str) -> None:
    """Raise `Refusal` (missing_right) if the token does not have the right."""
    if right not in token.rights:
        raise missing_right(right)


def require_own_right(token: Token, call: Call, request: Request) -> None:
    """Raise `Refusal` (missing_right) unless the token is bound to a user, and the request is about this user alone."""
    if OWN_RIGHTS.get(call.right) not in token.rights:
        raise missing_right(call.right)
    if call.user is None:
        raise refuse("missing_right", "the token is for the calls about one user alone")
    if fingerprint(call.user(request)) != token.user_hash:
        raise refuse("missing_right", "the token is for another user")


def missing_right(right: str) -> Refusal:
    """Return the refusal of a token without a right, to be raised."""
    return refuse("missing_right", f"the token does not have the right to {right}")
