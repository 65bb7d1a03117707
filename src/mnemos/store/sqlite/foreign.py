"""Take out of a restored file what a space of ours does not have: triggers, views, and unknown tables and indexes.

A trigger in a file from elsewhere would go on working after the restore, and could rewrite what is stored later.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from mnemos.errors import InvalidInput, StoreCorrupt
from mnemos.store.sqlite.schema import migrate

RUNNING = ("trigger", "view")
GUARDED = ("trust", "secrets")  # settings that let others in: who is believed, and whether secrets are stored
_OWN = ("sqlite_sequence", "sqlite_stat1", "sqlite_stat4")  # SQLite makes these itself
Schema = dict[tuple[str, str], str]  # (kind, name) -> its definition


def disarm(path: Path) -> list[str]:
    """Remove triggers and views that are not ours from a file that is not open yet; return what was removed, in words.

    To be called before anything is written to the file. Raises StoreCorrupt when its schema cannot be read.
    """
    with _opened(path) as db:
        ours, theirs = _expected(), _schema(db)
        removed = [what for what in theirs if what[0] in RUNNING and theirs[what] != ours.get(what)]
        for kind, name in removed:
            db.execute(f"DROP {kind} {_quoted(name)}")
        db.commit()
    return [f"the {kind} {name!r}" for kind, name in removed]


def clean(path: Path) -> list[str]:
    """Make the schema of a file of the current version ours; return what was removed, in words.

    Raises InvalidInput when a table of ours has another definition, or something cannot be removed.
    """
    with _opened(path) as db:
        ours, theirs = _expected(), _schema(db)
        removed = []
        for kind, name in [what for what in theirs if theirs[what] != ours.get(what)]:
            if kind == "table" and (kind, name) in ours:
                raise InvalidInput(f"the table {name!r} is not defined as in a space of Mnemos. Nothing was restored.")
            db.execute(f"DROP {kind} IF EXISTS {_quoted(name)}")
            removed.append(f"the {kind} {name!r}")
        left = _schema(db)
        for what in [what for what in ours if what not in left and what[0] != "table"]:
            db.execute(ours[what])
        db.commit()
        if _schema(db) != ours:
            raise InvalidInput("its tables are not those of a space of Mnemos. Nothing was restored.")
    return removed


def settings_of(path: Path) -> dict[str, str]:
    """Return the guarded settings that a file holds; empty when it cannot be read."""
    with contextlib.suppress(sqlite3.Error, StoreCorrupt), _opened(path) as db:
        rows = db.execute("SELECT key, value FROM meta WHERE key IN (?, ?) AND value <> ''", GUARDED)
        return {str(key): str(value) for key, value in rows}
    return {}


def _expected() -> Schema:
    """Return the schema of a new space. Costs 10 ms."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(db, "new", "a new space")
        return _schema(db)
    finally:
        db.close()


def _schema(db: sqlite3.Connection) -> Schema:
    rows = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        (str(kind), str(name)): re.sub(r"\s+", " ", str(sql).replace('"', "")).strip()  # a renamed table is quoted
        for kind, name, sql in sorted(rows)
        if name not in _OWN
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path)
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA foreign_keys = OFF")
        yield db
    except sqlite3.Error as error:
        raise StoreCorrupt(f"its schema cannot be read or cleaned ({error}). Nothing was restored.") from error
    finally:
        db.close()
