"""Isolation below the API: roles of the database that see the spaces granted to them, and nothing else.

Every table with a space has row-level security, forced on its owner too: a transaction sees the space that it has set. That
guards against a query of ours that forgets its space, not against somebody who may write SQL, since a setting can be set. For
those there are members: roles (`grant`) that are confined to their spaces by a second policy, whatever they set. A member may
log in by itself, or a server acts as one with `role=NAME` in its URL (SET LOCAL ROLE in each transaction). Superusers and
roles with BYPASSRLS are above all policies: run servers as another user.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from mnemos.errors import InvalidInput, StoreError
from mnemos.store.postgres.database import Database, Db
from mnemos.store.postgres.schema import LOCK, SPACE_TABLES

MEMBERS = "mnemos_member"  # the role that all members belong to
_OWN = "space = ANY (ARRAY(SELECT g.space FROM mnemos.grants AS g WHERE g.member = current_user))"
_SETUP = f"""
GRANT USAGE ON SCHEMA mnemos TO {MEMBERS};
GRANT SELECT ON mnemos.migrations, mnemos.grants, mnemos.arriving TO {MEMBERS};
GRANT SELECT, INSERT, UPDATE (seq, last, writes) ON mnemos.spaces TO {MEMBERS};
GRANT SELECT, INSERT ON mnemos.audit TO {MEMBERS};
ALTER TABLE mnemos.grants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mnemos.grants TO {MEMBERS} USING (member = current_user);
ALTER TABLE mnemos.arriving ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mnemos.arriving TO {MEMBERS} USING ({_OWN});
"""


def grant(database: Database, member: str, spaces: Sequence[str], *, password: str | None = None) -> None:
    """Let a role use some spaces, beside those that it may use already. A role that does not exist is made.

    With `password` it may log in; without, only who is a member of it may act as it. The user of `database` has to own the
    tables and, to make a role, to have CREATEROLE; it may act as the member afterwards. Raises StoreError, InvalidInput.
    """
    if not member or member == MEMBERS or isinstance(spaces, str):
        raise InvalidInput(
            f"member is {member!r}, spaces are {spaces!r}: give the name of a role, and a list of names."
        )
    with database.direct() as db, db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        _set_up(db)
        _make(db, member)
        name = sql.Identifier(member)
        if password is not None:
            db.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        if _above(db, member):
            raise StoreError(
                f"{database.where}: the role {member!r} is above row-level security (superuser or BYPASSRLS)."
            )
        db.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(MEMBERS), name))
        db.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
        rows = [(member, space) for space in spaces]
        with db.cursor() as cursor:
            cursor.executemany("INSERT INTO mnemos.grants VALUES (%s, %s) ON CONFLICT DO NOTHING", rows)


def revoke(database: Database, member: str, spaces: Sequence[str] | None = None) -> int:
    """Take some spaces from a role, or all; return how many. Its open transactions see nothing more from their next one on."""
    query, values = "DELETE FROM mnemos.grants WHERE member = %s", [member]
    with database.direct() as db:
        if spaces is None:
            return db.execute(query, values).rowcount
        return db.execute(f"{query} AND space = ANY(%s)", (*values, list(spaces))).rowcount


def granted(database: Database) -> dict[str, list[str]]:
    """Return the spaces of each member."""
    found: dict[str, list[str]] = {}
    with database.direct() as db:
        for member, space in db.execute("SELECT member, space FROM mnemos.grants ORDER BY member, space"):
            found.setdefault(member, []).append(space)
    return found


def binds(database: Database) -> bool:
    """Tell whether row-level security binds the user of a database: it does not bind superusers."""
    with database.direct() as db:
        row = db.execute("SELECT row_security_active('mnemos.cubes')").fetchone()
    return row is not None and bool(row[0])


def _set_up(db: Db) -> None:
    """Make the role of all members, and the policy that confines them."""
    _make(db, MEMBERS)
    confined = "SELECT 1 FROM pg_policies WHERE schemaname = 'mnemos' AND policyname = 'members'"
    if db.execute(confined).fetchone():
        return
    db.execute(_SETUP)
    for table in SPACE_TABLES:
        db.execute(f"CREATE POLICY members ON mnemos.{table} AS RESTRICTIVE TO {MEMBERS} USING ({_OWN})")
        if table not in ("spaces", "audit"):
            db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON mnemos.{table} TO {MEMBERS}")


def _make(db: Db, name: str) -> None:
    """Make a role unless it exists."""
    if db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
        return
    try:
        db.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOBYPASSRLS").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"this user may not make roles. Let an administrator run: CREATE ROLE {MEMBERS}; CREATE ROLE {name}; and "
            "grant both to this user WITH ADMIN OPTION"
        ) from error


def _above(db: Db, name: str) -> bool:
    query = "SELECT 1 FROM pg_roles WHERE rolname = %s AND (rolsuper OR rolbypassrls)"
    return db.execute(query, (name,)).fetchone() is not None
