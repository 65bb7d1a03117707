"""The tables on a sharded Postgres: statements for Citus, which a database administrator runs once, after the tables are made.

The space leads every key and every index, so that all rows of a space lie on one node and a transaction stays there. Server
tables (keys, answers) are small and go to every node. Not run by Mnemos, and not tested: no build of the extension is to be
had where its tests run. What is tested is that each table has what Citus asks for: the space in every unique index.
"""

from __future__ import annotations

from mnemos.store.postgres.schema import SPACE_TABLES

REFERENCE = ("server_keys", "server_answers", "server_chats", "server_secrets", "server_changes", "grants", "arriving")


def statements() -> list[str]:
    """Return the statements that distribute the tables by space, in order."""
    spread = [
        f"SELECT create_distributed_table('mnemos.{table}', 'space'"
        + (")" if table == SPACE_TABLES[0] else f", colocate_with => 'mnemos.{SPACE_TABLES[0]}')")
        for table in SPACE_TABLES
    ]
    everywhere = [f"SELECT create_reference_table('mnemos.{table}')" for table in REFERENCE]
    triggers = (
        "SET citus.enable_unsafe_triggers = on"  # the audit log is append-only by a trigger that reads its own row
    )
    return ["CREATE EXTENSION IF NOT EXISTS citus", triggers, *spread, *everywhere]
