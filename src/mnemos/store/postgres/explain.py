"""Errors of Postgres as errors of Mnemos, with the real cause and what to do."""

from __future__ import annotations

import psycopg
from psycopg import conninfo
from psycopg_pool import PoolClosed, PoolTimeout

from mnemos.errors import Conflict, MnemosError, ReadOnly, StoreBusy, StoreCorrupt, StoreError, StoreFull
from mnemos.store.postgres.refused import cause_of

WAIT_SECONDS = 60  # for another writer of the space, and for one statement
POOLER = ("26000", "42P05", "08P01")  # a prepared statement that is missing or there already, a protocol in disorder
_DAMAGED = "the database is damaged. Stop writing to it, copy its data directory, run pg_amcheck, and restore a backup"
_KINDS: dict[str, tuple[type[MnemosError], str]] = {
    "23505": (Conflict, "a row of this key exists already. Read again and repeat the change"),
    "25006": (
        ReadOnly,
        "the database takes no writes (a standby, or default_transaction_read_only is on). Nothing was stored; reading "
        "works. Give the URL of the primary server to write",
    ),
    "53100": (
        StoreFull,
        "the disk of the server, or a quota, is full. Nothing of this write was stored, and nothing was lost. Make room on "
        "the server (old WAL, temporary files, other tables) and try again",
    ),
    "53300": (
        StoreBusy,
        "the server has no connection left. Lower `pool=` in the URL, raise max_connections, or put a pooler in front of it",
    ),
    "55P03": (
        StoreBusy,
        f"another process holds the write lock of the space (waited at most {WAIT_SECONDS} s). Nothing was stored. Try "
        "again, or look for a process that hangs: SELECT * FROM pg_stat_activity",
    ),
    "57014": (
        StoreBusy,
        f"a statement took longer than {WAIT_SECONDS} s, or an administrator cancelled it. Nothing of it was stored. Try "
        "again when the server has less to do",
    ),
    "40P01": (StoreBusy, "two writers waited for each other, and this one was stopped. Nothing was stored. Try again"),
    "40001": (StoreBusy, "another writer came first. Nothing was stored. Try again"),
    "3D000": (StoreError, "the database does not exist. Make it (`createdb NAME`), or correct the URL"),
    "28P01": (StoreError, "the server refuses this password. Correct the URL, or set PGPASSWORD or a ~/.pgpass"),
    "28000": (StoreError, "the server refuses this user. Correct the URL, or allow the user in pg_hba.conf"),
    "54000": (StoreError, "a value is too large for Postgres. Nothing was stored. Split the text"),
    "XX001": (StoreCorrupt, _DAMAGED),
    "XX002": (StoreCorrupt, _DAMAGED),
    "22P05": (StoreError, "the database is not in UTF-8. Make one with ENCODING 'UTF8'"),
}
_CLASSES: dict[str, tuple[type[MnemosError], str]] = {
    "53": (StoreFull, "the server is out of memory or disk. Nothing of this write was stored. Make room and try again"),
    "58": (StoreError, "the disk of the server cannot be read or written. Nothing was stored. Check the disk"),
    "XX": (
        StoreError,
        "the server failed. Nothing of this write was stored. Look into its log",
    ),
    "57": (
        StoreError,
        "the server ended the connection (it is restarting, or an administrator did). Nothing of a write that had not "
        "returned was stored. Try again",
    ),
    "08": (
        StoreError,
        "the connection was lost. Whether the last write was stored is known only by reading: try it again with the same "
        "ids. Check that the server runs and can be reached",
    ),
}


def of_postgres(error: psycopg.Error, where: str) -> MnemosError:
    """Return an error of Postgres as one that says what to do. `where` is the database, without a password."""
    text = first_line(error)
    state = error.sqlstate or ""
    if state == "42501":
        return StoreError(
            f"{where}: this user lacks a right ({text}). Nothing was stored. Connect as the owner of the schema mnemos, or "
            "let the owner grant the space to the user: `mnemos.store.postgres.security.grant`"
        )
    if state in POOLER:
        return StoreError(
            f"{where}: {text}. A pooler in transaction mode does not carry prepared statements, which are off from now "
            "on. Nothing was stored. Try again, and add `prepare=off` to the URL"
        )
    if state.startswith("42"):
        return StoreError(
            f"{where}: the tables are not those of this Mnemos ({text}). Nothing was stored. Was the schema mnemos changed "
            "by hand, or removed while it was in use? Restore it, or open the database again"
        )
    if isinstance(error, PoolTimeout):
        return StoreBusy(f"{where}: all connections of this process are in use. Try again, or raise `pool=` in the URL")
    if isinstance(error, PoolClosed):
        return StoreError(f"{where} is closed. Open it again with Mnemos(URL).")
    if not state and (refused := cause_of(str(error))):
        return StoreError(f"{where} {refused}.")
    kind, cause = _KINDS.get(state) or _CLASSES.get(state[:2]) or (StoreError, "")
    if not cause and not state:
        cause = _CLASSES["08"][1] if "closed" in text or "lost" in text else (
            "the server cannot be reached or refuses the connection. Check the URL, that the server runs, and that it lets "
            "this machine in"
        )  # fmt: skip
    return kind(f"{where}: {text}: {cause or 'this is a defect of Mnemos: please report it'}.")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def shown(url: str) -> str:
    """Return a URL for people: without a password, as postgresql://user@host:port/database."""
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        return "postgresql://..."
    user = f"{parts['user']}@" if parts.get("user") else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{user}{parts.get('host') or 'localhost'}{port}/{parts.get('dbname') or ''}"
