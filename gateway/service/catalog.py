"""The catalog: the current tokens, databases and compiled schemas.

It caches the store's registry until the registry's version changes. So a revoked token is rejected on the next request,
and a request does not read the registry.
"""

from collections.abc import Iterable

from gateway.core.faults import refuse
from gateway.core.fingerprint import fingerprint
from gateway.core.model import WRITE, Database, Token
from gateway.dialects.protocol import Credential, Dialect
from gateway.schema.compiled import CompiledSchema
from gateway.schema.files import load_schema
from gateway.schema.pointer_mask import PointerMask
from gateway.stores.protocol import Store


class Catalog:
    """The contents of the registry. Call `refresh` before the other methods."""

    def __init__(self, store: Store, dialects: Iterable[Dialect]) -> None:
        self._store = store
        self._constraints = {each.name: load_schema(each.constraints) if each.constraints else {} for each in dialects}
        self._version: int | None = None
        self._tokens: dict[str, Token] = {}
        self._databases: dict[int, Database] = {}
        self._schemas: dict[tuple[int, str], CompiledSchema] = {}
        self._masks: dict[int, PointerMask] = {}

    async def refresh(self) -> None:
        """Read the registry again if it may have changed."""
        version = self._store.registry_version()
        if version == self._version:
            return
        self._tokens = {token.hash: token for token in await self._store.tokens() if not token.revoked}
        self._databases = {database.id: database for database in await self._store.databases()}
        self._schemas, self._masks = {}, {}
        self._version = version

    def token(self, credential: Credential) -> Token:
        """Return the token of a credential. Raises `Refusal`: unknown_token, unknown_company.

        A company id is public: it has the right to write, but not to read or delete.
        """
        return self._by_company(credential.company) if credential.token is None else self._by_secret(credential.token)

    def _by_secret(self, secret: str) -> Token:
        token = self._tokens.get(fingerprint(secret))
        if token is None:
            raise refuse("unknown_token")
        return token

    def _by_company(self, company: str | None) -> Token:
        database = next((each.id for each in self._databases.values() if each.company_id == company), None)
        if database is None or company is None:
            raise refuse("unknown_company")
        return Token(f"company {company}", "", database, frozenset({WRITE}), 0)

    def database(self, token: Token, id: object) -> Database:
        """Return the token's database. `id` is its id or None. Raises `Refusal`: unknown_database, invalid_parameter.

        An existing database of another token is unknown too.
        """
        if id is not None and (not isinstance(id, int) or isinstance(id, bool)):
            raise refuse("invalid_parameter", "it must be an integer", "/database")
        if id not in (None, token.database):
            raise refuse("unknown_database", f"there is no database {id}", "/database")
        return self._databases[token.database]

    def schema(self, database: Database, dialect: Dialect) -> CompiledSchema:
        """Return the compiled schema of a database with the constraints of a dialect."""
        found = self._schemas.get((database.id, dialect.name))
        if found is None:
            found = self._schemas[database.id, dialect.name] = CompiledSchema(database, self._constraints[dialect.name])
        return found

    def pointer_mask(self, token: Token) -> PointerMask:
        """Return the mask of the pointers in requests of a token."""
        if token.database not in self._masks:
            self._masks[token.database] = PointerMask(self._databases[token.database])
        return self._masks[token.database]


def require_right(token: Token, right: str) -> None:
    """Raise `Refusal` (missing_right) if the token does not have the right."""
    if right not in token.rights:
        raise refuse("missing_right", f"the token does not have the right to {right}")
