"""The spaces of a database: made, listed, and removed with everything in them."""

from __future__ import annotations

from mnemos.errors import NotFound
from mnemos.store.names import file_stem
from mnemos.store.postgres import indexes
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Database, Db
from mnemos.store.postgres.removal import TOUCHED
from mnemos.store.postgres.schema import SPACE_TABLES
from mnemos.store.postgres.vacuum import run


def exists(database: Database, name: str) -> bool:
    """Tell whether there is a space of this name."""
    with Connection(database, name).read() as db:
        return db.execute("SELECT 1 FROM spaces WHERE space = %s", (name,)).fetchone() is not None


def make(database: Database, name: str, made: int) -> bool:
    """Make a space unless it exists; return whether it was made. Raises InvalidInput for a bad name."""
    file_stem(name)  # checks it
    if exists(database, name):
        return False
    with database.direct() as db, db.transaction():
        db.execute(
            "SELECT set_config('mnemos.space', %s, true), set_config('role', coalesce(%s, current_user), true)",
            (name, database.options.role),
        )
        query = "INSERT INTO mnemos.spaces (space, made) VALUES (%s, %s) ON CONFLICT DO NOTHING"
        return bool(db.execute(query, (name, made)).rowcount)


def names(database: Database) -> list[str]:
    """Return the names of all spaces that this user may see, sorted."""
    with Connection(database, "").read() as db:
        return [name for (name,) in db.execute("SELECT space FROM spaces ORDER BY space")]


def remove(database: Database, name: str) -> None:
    """Remove a space and everything in it, and clean its bytes out of the tables. Raises NotFound."""
    if not exists(database, name):
        raise NotFound(f"there is no space {name!r} in {database.where}: `mnemos spaces` lists them.")
    with Connection(database, name).write() as db:
        clear(db, name)
        db.execute("DELETE FROM spaces WHERE space = %s", (name,))
    with database.direct() as db:
        indexes.drop(db, name)
        run(db, TOUCHED)


def clear(db: Db, name: str) -> None:
    """Remove everything in a space, its log too, in the transaction of the caller; the space stays."""
    db.execute("SELECT set_config('mnemos.removing', %s, true)", (name,))
    for table in reversed(SPACE_TABLES):
        if table != "spaces":
            db.execute(f"DELETE FROM {table} WHERE space = %s", (name,))
