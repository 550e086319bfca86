"""The tables in PostgreSQL, and their migrations.

The layout can be partitioned: every key of profile data begins with the database, and no unique index lacks it.
"""

from gateway.stores.consent_migration import ledger_rows_of_profiles
from gateway.stores.errors import StoreNotFound, Unavailable, Unusable
from gateway.stores.journal_migration import row_of_record
from gateway.stores.listing_migration import segment_rows
from gateway.stores.postgresql.connections import Connection
from gateway.stores.postgresql.erasure import ANSWERED_PROFILE
from gateway.stores.postgresql.journal import ADD_ENTRIES
from gateway.stores.postgresql.locks import columns
from gateway.stores.postgresql.text_encoding import index_text

LAYOUT_VERSION = "SELECT version FROM layout"

MIGRATION_LOCK = 0x70726F66696C6573
"""The advisory lock of a migration."""

# Texts compare by code point ("C"), as Python's do. Documents are text, not json: PostgreSQL would parse each of them
# again to check what orjson wrote, and jsonb would alter the form of numbers and the order of members.
# Pages of profiles have some free room, for updates that alter no index (HOT).
MIGRATIONS = (
    """
    CREATE TABLE databases (
        id bigint PRIMARY KEY, name text NOT NULL, closed boolean NOT NULL, fields text NOT NULL, company_id text UNIQUE
    );
    CREATE TABLE tokens (
        hash text PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, database bigint NOT NULL REFERENCES databases,
        rights text NOT NULL, created bigint NOT NULL, revoked boolean NOT NULL
    );
    CREATE TABLE resources (
        database bigint NOT NULL REFERENCES databases, id bigint NOT NULL, name text NOT NULL,
        categories text NOT NULL, fields text NOT NULL, PRIMARY KEY (database, id)
    );
    CREATE TABLE segments (
        database bigint NOT NULL REFERENCES databases, id bigint NOT NULL, name text NOT NULL,
        PRIMARY KEY (database, id)
    );
    CREATE TABLE epoch (number bigint NOT NULL);
    INSERT INTO epoch VALUES (1);
    CREATE TABLE profiles (
        database bigint NOT NULL, id text COLLATE "C" NOT NULL, document text NOT NULL, version bigint NOT NULL,
        created bigint NOT NULL, updated bigint NOT NULL, PRIMARY KEY (database, id)
    ) WITH (fillfactor = 85);
    CREATE TABLE identities (
        database bigint NOT NULL, kind text COLLATE "C" NOT NULL, value text COLLATE "C" NOT NULL,
        profile text COLLATE "C" NOT NULL, PRIMARY KEY (database, kind, value, profile)
    );
    CREATE TABLE changes (
        database bigint NOT NULL, time bigint NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY,
        profile text COLLATE "C" NOT NULL, version bigint NOT NULL, token text NOT NULL, dialect text NOT NULL,
        triggers boolean NOT NULL, patch text NOT NULL, PRIMARY KEY (database, time, number)
    );
    CREATE TABLE jobs (
        database bigint NOT NULL, id text COLLATE "C" NOT NULL, created bigint NOT NULL, total bigint NOT NULL,
        failed bigint NOT NULL, outcome text NOT NULL, PRIMARY KEY (database, id)
    );
    CREATE INDEX jobs_in_time ON jobs (database, created, id);
    CREATE TABLE once (
        database bigint NOT NULL, key text COLLATE "C" NOT NULL, fingerprint text NOT NULL, until bigint NOT NULL,
        profile text NOT NULL, PRIMARY KEY (database, key)
    );
    CREATE INDEX once_in_time ON once (database, until);
    """,
    "ALTER TABLE jobs ADD COLUMN kind text NOT NULL DEFAULT 'import'",
    """
    CREATE TABLE ledgers (
        database bigint NOT NULL, key text COLLATE "C" NOT NULL, address text COLLATE "C" NOT NULL,
        ledger text NOT NULL, PRIMARY KEY (database, key)
    );
    """,
    "ALTER TABLE tokens ADD COLUMN name text NOT NULL DEFAULT ''",
    """
    CREATE TABLE store (id text NOT NULL);
    INSERT INTO store VALUES (replace(gen_random_uuid()::text, '-', ''));
    CREATE TABLE journal (
        database bigint NOT NULL, transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        number bigint GENERATED ALWAYS AS IDENTITY, profile text COLLATE "C" NOT NULL, version bigint NOT NULL,
        kind text NOT NULL, time bigint NOT NULL, observed bigint, token text NOT NULL, dialect text NOT NULL,
        request text NOT NULL, triggers boolean NOT NULL, members text NOT NULL,
        PRIMARY KEY (database, profile, transaction, number)
    );
    CREATE INDEX journal_in_order ON journal (database, transaction, number);
    CREATE INDEX journal_in_time ON journal (database, time);
    CREATE TABLE pruned (database bigint PRIMARY KEY, transaction xid8 NOT NULL, number bigint NOT NULL);
    """,
    """
    CREATE TABLE subscribers (
        database bigint NOT NULL REFERENCES databases, id text COLLATE "C" NOT NULL, kind text NOT NULL,
        created bigint NOT NULL, settings text NOT NULL, secret text NOT NULL, position text COLLATE "C" NOT NULL,
        state text NOT NULL, reason text NOT NULL, revision bigint NOT NULL, owner text NOT NULL, until bigint NOT NULL,
        PRIMARY KEY (database, id)
    );
    CREATE TABLE deliveries (
        database bigint NOT NULL, subscriber text COLLATE "C" NOT NULL, position text COLLATE "C" NOT NULL,
        profile text COLLATE "C" NOT NULL, attempts bigint NOT NULL, since bigint NOT NULL, due bigint NOT NULL,
        reason text NOT NULL, dead bigint NOT NULL, PRIMARY KEY (database, subscriber, position)
    );
    """,
    """
    ALTER TABLE journal ADD COLUMN merge text COLLATE "C", ADD COLUMN replay text;
    CREATE INDEX journal_of_merge ON journal (database, merge) WHERE merge IS NOT NULL;
    CREATE INDEX journal_of_merges ON journal (database, transaction, number) WHERE merge IS NOT NULL;
    """,
    f"""
    CREATE INDEX once_of_profile ON once (database, {ANSWERED_PROFILE});
    CREATE INDEX journal_of_removals ON journal (database, transaction, number) WHERE kind = 'remove';
    CREATE INDEX journal_of_merged_profile ON journal (database, profile) WHERE merge IS NOT NULL;
    """,
    """
    CREATE TABLE subscriber_notes (
        database bigint NOT NULL, subscriber text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
        value text NOT NULL, PRIMARY KEY (database, subscriber, name)
    );
    """,
    """
    CREATE TABLE refused (
        database bigint NOT NULL, position bigint NOT NULL, id text COLLATE "C" NOT NULL, time bigint NOT NULL,
        request text NOT NULL, token text NOT NULL, dialect text NOT NULL, fault text NOT NULL,
        replayed bigint NOT NULL, is_known bigint NOT NULL, encoding text NOT NULL, body text NOT NULL,
        content text NOT NULL, size bigint NOT NULL, PRIMARY KEY (database, position), UNIQUE (database, id)
    );
    CREATE INDEX refused_in_time ON refused (database, time);
    CREATE INDEX refused_of_unknown ON refused (database) WHERE is_known = 0;
    CREATE TABLE refused_keys (
        database bigint NOT NULL, position bigint NOT NULL, key text COLLATE "C" NOT NULL,
        PRIMARY KEY (database, key, position),
        FOREIGN KEY (database, position) REFERENCES refused ON DELETE CASCADE
    );
    CREATE INDEX refused_keys_of_request ON refused_keys (database, position);
    CREATE TABLE erasures (database bigint PRIMARY KEY, time bigint NOT NULL);
    """,
    """
    ALTER TABLE resources ADD COLUMN token_hash text UNIQUE, ADD COLUMN public_key text;
    """,
    "-- Segments list their profiles: see `_fill_keys`.",
    "ALTER TABLE deliveries ADD COLUMN entry text",
    """
    ALTER TABLE segments ADD COLUMN created bigint, ADD COLUMN updated bigint,
        ADD COLUMN is_double_opt_in boolean NOT NULL DEFAULT false;
    """,
    "ALTER TABLE tokens ADD COLUMN user_hash text",
    """
    ALTER TABLE segments ALTER COLUMN id TYPE text COLLATE "C" USING id::text,
        ADD COLUMN preferences text NOT NULL DEFAULT '{}', ADD COLUMN archived bigint;
    """,
)
"""The steps from nothing to this version's layout. A released step is never altered: a change is a new step."""


LEDGERS_VERSION, JOURNAL_VERSION, KEYS_VERSION = 3, 5, 12
"""The layouts that have ledgers, a journal, and keys that list profiles. The ledgers and the keys of older layouts are
derived from the profiles, the entries of the journal from the records of changes."""

RECORDS = """SELECT database, time, profile, version, token, dialect, triggers, patch FROM changes
    ORDER BY database, time, number"""
PROFILES = "SELECT database, id, document FROM profiles"
ADD_KEYS = """INSERT INTO identities SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[])
    ON CONFLICT DO NOTHING"""
RECORDS_PER_INSERT = 500


async def migrate(connection: Connection, create: bool) -> None:
    """Create the tables, if `create` is set, or migrate them to this version's layout. Raises `Unavailable`."""
    await _require_utf8(connection)
    async with connection.transaction():
        # Where several processes open a new database at once, only the first has something to do.
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        version = await layout_version(connection)
        if version is None:
            version = await _create(connection, create)
        require_layout(version)
        for step in MIGRATIONS[version:]:
            await connection.execute(step)
        if 0 < version < LEDGERS_VERSION:
            await _fill_ledgers(connection)
        if version < JOURNAL_VERSION:
            await _fill_journal(connection)
        if version < KEYS_VERSION:
            await _fill_keys(connection)
        await connection.execute("UPDATE layout SET version = %s WHERE version <> %s", (len(MIGRATIONS),) * 2)


def require_layout(version: int) -> None:
    """Raise `Unusable` where a newer version wrote the database."""
    if version > len(MIGRATIONS):
        raise Unusable(f"a newer version wrote layout {version} of the store, this one has {len(MIGRATIONS)}")


async def layout_version(connection: Connection) -> int | None:
    """Return the version of the tables, None where there are none."""
    cursor = await connection.execute("SELECT to_regclass('layout') IS NULL")
    if (await cursor.fetchall())[0][0]:
        return None
    cursor = await connection.execute(LAYOUT_VERSION)
    return int((await cursor.fetchall())[0][0])


async def _create(connection: Connection, create: bool) -> int:
    if not create:
        raise StoreNotFound("there is no store in the database")
    await connection.execute("CREATE TABLE layout (version bigint NOT NULL)")
    await connection.execute("INSERT INTO layout VALUES (0)")
    return 0


async def _require_utf8(connection: Connection) -> None:
    """Other encodings lack characters, or do not check them."""
    cursor = await connection.execute("SELECT current_setting('server_encoding')")
    encoding = (await cursor.fetchall())[0][0]
    if encoding != "UTF8":
        raise Unavailable(f"the database has the encoding {encoding}: create it with ENCODING 'UTF8'")


async def _fill_ledgers(connection: Connection) -> None:
    cursor = await connection.execute("SELECT database, document, updated FROM profiles ORDER BY updated")
    rows = ledger_rows_of_profiles(await cursor.fetchall())
    keyed = [(database, index_text(address), address, text) for database, address, text in rows]
    async with connection.cursor() as insertion:
        await insertion.executemany("INSERT INTO ledgers VALUES (%s, %s, %s, %s)", keyed)


async def _fill_journal(connection: Connection) -> None:
    """Move the records of changes of the first layout into the journal."""
    async with connection.cursor("records") as cursor:
        await cursor.execute(RECORDS)
        while records := await cursor.fetchmany(RECORDS_PER_INSERT):
            rows = list(map(row_of_record, records))
            await connection.execute(ADD_ENTRIES, columns(rows, len(rows[0])))
    await connection.execute("DROP TABLE changes")


async def _fill_keys(connection: Connection) -> None:
    async with connection.cursor("profiles") as cursor:
        await cursor.execute(PROFILES)
        while profiles := await cursor.fetchmany(RECORDS_PER_INSERT):
            rows = [(database, kind, index_text(value), id) for database, kind, value, id in segment_rows(profiles)]
            await connection.execute(ADD_KEYS, columns(rows, 4))
