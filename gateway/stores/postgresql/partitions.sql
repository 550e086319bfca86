-- Divides the tables that grow into hash partitions: 64 of each, or as many as `gateway.partitions`.
--
--     PGOPTIONS='-c gateway.partitions=256' psql --single-transaction --file partitions.sql postgresql://…/profiles
--
-- Run it once, after a gateway has created its tables and while none runs, and again after an update that adds one of them.
-- It copies all rows of a table that is not divided yet: on a large store that needs as much time as loading it. Every key begins with the columns of its partition, so each look-up reads one partition, and
-- keys stay unique. PostgreSQL 17 or later.
DO $$
DECLARE
    partitions CONSTANT int := coalesce(nullif(current_setting('gateway.partitions', true), ''), '64')::int;
    part record;
BEGIN
    FOR part IN SELECT * FROM (VALUES
        ('profiles', 'database, id', 'WITH (fillfactor = 85)'),
        ('identities', 'database, kind, value', ''),
        ('journal', 'database, profile', ''),
        ('jobs', 'database, id', ''),
        ('once', 'database, key', '')
    ) AS parts (name, key, storage)
        WHERE (SELECT relkind FROM pg_class WHERE oid = name::regclass) <> 'p' LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO whole', part.name);
        EXECUTE format('CREATE TABLE %I (LIKE whole INCLUDING ALL) PARTITION BY HASH (%s)', part.name, part.key);
        FOR remainder IN 0 .. partitions - 1 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s) %s',
                part.name || '_' || remainder, part.name, partitions, remainder, part.storage);
        END LOOP;
        EXECUTE format('INSERT INTO %I OVERRIDING SYSTEM VALUE SELECT * FROM whole', part.name);
        IF part.name = 'journal' THEN
            PERFORM setval(pg_get_serial_sequence('journal', 'number'), max(number)) FROM journal;
        END IF;
        DROP TABLE whole;
    END LOOP;
END $$;
