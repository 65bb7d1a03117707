"""What a sharded Postgres asks of the tables: the space in front of every key and index."""

from __future__ import annotations

import psycopg

from mnemos.store.postgres.citus import statements
from mnemos.store.postgres.database import Database
from mnemos.store.postgres.schema import SPACE_TABLES


def test_the_space_leads_every_index_and_every_table_is_distributed(postgres_url):
    Database(postgres_url).close()
    with psycopg.connect(postgres_url) as db:
        rows = db.execute(
            "SELECT c.relname, a.attname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS s "
            "ON s.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
            "WHERE s.nspname = 'mnemos'"
        ).fetchall()
        tables = {t for (t,) in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'mnemos'")}
    assert {column for table, column in rows if table in SPACE_TABLES} == {"space"}
    assert {table for table, _ in rows} >= set(SPACE_TABLES)
    said = "\n".join(statements())
    assert all(f"'mnemos.{table}'" in said for table in tables - {"migrations", "server_rates"})
