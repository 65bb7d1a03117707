"""What servers on one database share: API keys, answers, conversations of the proxy, rates of callers and a secret.

The tables are made by `schema`. Each class here is a use of the process's pool of connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemos.location import DatabaseUrl
from mnemos.store.postgres.pools import Shared
from mnemos.store.server import ChatRow, KeyRow

_BUMP = "UPDATE mnemos.server_changes SET n = n + 1 WHERE name = 'keys'"
_LEFT = "least(%(burst)s, r.tokens + extract(epoch FROM greatest(now(), r.at) - r.at) * %(rate)s)"
_LEASE = f"""
INSERT INTO mnemos.server_rates AS r VALUES (%(caller)s, %(burst)s - %(first)s, %(first)s, now())
ON CONFLICT (caller) DO UPDATE SET
  taken = least(%(wanted)s, floor({_LEFT})), tokens = {_LEFT} - least(%(wanted)s, floor({_LEFT})), at = greatest(now(), r.at)
RETURNING taken, tokens
"""
_SWEEP = 1_000  # leases after which full buckets are removed


class _Table:
    """A use of the database. Raises StoreError."""

    def __init__(self, where: DatabaseUrl) -> None:
        self._shared = Shared(where)

    def close(self) -> None:
        """Release the database; closing twice is allowed."""
        self._shared.close()


class KeyTable(_Table):
    """Implements `Keys`."""

    remote = True

    def add(self, row: KeyRow, *, only_first: bool = False) -> bool:
        """Store a key; with `only_first` only if there has never been any. Return whether it was stored."""
        with self._shared.transaction() as db:
            db.execute(_BUMP)  # first: it makes others who add a key wait
            if only_first and db.execute("SELECT 1 FROM mnemos.server_keys LIMIT 1").fetchone():
                return False
            db.execute(
                "INSERT INTO mnemos.server_keys VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (row.id, row.name, row.salt, row.hash, list(row.spaces), list(row.rights), row.made, row.expires, row.revoked),
            )  # fmt: skip
        return True

    def find(self, key_id: str) -> KeyRow | None:
        """Return a key, expired and revoked ones too; None when there is no such id."""
        with self._shared.connection() as db:
            row = db.execute("SELECT * FROM mnemos.server_keys WHERE id = %s", (key_id,)).fetchone()
        return None if row is None else _key(row)

    def all(self) -> list[KeyRow]:
        """Return all keys, oldest first."""
        with self._shared.connection() as db:
            return [_key(row) for row in db.execute("SELECT * FROM mnemos.server_keys ORDER BY made, id")]

    def revoke(self, key_id: str, at: int) -> KeyRow | None:
        """Make a key invalid unless it is already; return it, or None when there is no such id."""
        with self._shared.transaction() as db:
            db.execute(_BUMP)
            db.execute("UPDATE mnemos.server_keys SET revoked = %s WHERE id = %s AND revoked IS NULL", (at, key_id))
            row = db.execute("SELECT * FROM mnemos.server_keys WHERE id = %s", (key_id,)).fetchone()
        return None if row is None else _key(row)

    def change_token(self) -> object:
        """Return a value that is equal as long as no key was added or revoked, by any process. Costs a round trip."""
        with self._shared.connection() as db:
            return db.execute("SELECT n FROM mnemos.server_changes WHERE name = 'keys'").fetchone()


class AnswerTable(_Table):
    """Implements `Answers`."""

    def reserve(self, name: bytes, body: bytes, now: float, oldest: float) -> tuple[bytes, str | None] | None:
        """Reserve a name for a request and return None; or the (body, answer) stored under it, None for no answer yet."""
        with self._shared.transaction() as db:
            db.execute("DELETE FROM mnemos.server_answers WHERE made < %s", (oldest,))
            made = db.execute(
                "INSERT INTO mnemos.server_answers VALUES (%s, %s, %s, NULL) ON CONFLICT (name) DO NOTHING",
                (name, body, now),
            ).rowcount
            if made:
                return None
            row = db.execute("SELECT body, cubes FROM mnemos.server_answers WHERE name = %s", (name,)).fetchone()
        return None if row is None else (row[0], row[1])

    def finish(self, name: bytes, answer: str | None) -> None:
        """Store the answer under a reserved name; None frees the name."""
        with self._shared.connection() as db:
            if answer is None:
                db.execute("DELETE FROM mnemos.server_answers WHERE name = %s", (name,))
            else:
                db.execute("UPDATE mnemos.server_answers SET cubes = %s WHERE name = %s", (answer, name))


class ChatTable(_Table):
    """Implements `Chats`."""

    def find(self, keys: Sequence[str], oldest: float) -> list[ChatRow]:
        """Return the rows of some keys from `oldest` on, the newest first."""
        with self._shared.connection() as db:
            rows = db.execute(
                "SELECT key, root, at, done FROM mnemos.server_chats WHERE key = ANY(%s) AND at >= %s ORDER BY at DESC, n DESC",
                (list(keys), oldest),
            ).fetchall()
        return [ChatRow(*row) for row in rows]

    def all(self) -> list[ChatRow]:
        """Return all rows, oldest first."""
        with self._shared.connection() as db:
            rows = db.execute("SELECT key, root, at, done FROM mnemos.server_chats ORDER BY at, n").fetchall()
        return [ChatRow(*row) for row in rows]

    def put(self, rows: Sequence[ChatRow], oldest: float) -> None:
        """Write rows, a later time and `done` over those of the same key and root; remove rows from before `oldest`."""
        ordered = sorted(rows, key=lambda row: (row.key, row.root))  # two writers lock them in one order
        with self._shared.transaction() as db:
            db.execute("DELETE FROM mnemos.server_chats WHERE at < %s", (oldest,))
            with db.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO mnemos.server_chats AS c VALUES (%s, %s, %s, %s) ON CONFLICT (key, root) "
                    "DO UPDATE SET at = greatest(c.at, excluded.at), done = c.done OR excluded.done",
                    [(row.key, row.root, row.at, row.done) for row in ordered],
                )


class RateTable(_Table):
    """Implements `Rates`, by the clock of the database. The rows need not survive a crash: a bucket starts full again."""

    def __init__(self, where: DatabaseUrl) -> None:
        super().__init__(where)
        self._leases = 0

    def lease(self, caller: str, rate: float, burst: int, wanted: int) -> float:
        """Take up to `wanted` whole tokens from a bucket; return how many, or the negative seconds until there is one."""
        values = {
            "caller": caller, "rate": float(rate), "burst": float(burst), "wanted": float(wanted),
            "first": float(min(wanted, burst)),
        }  # fmt: skip
        with self._shared.connection() as db:
            taken, tokens = db.execute(_LEASE, values).fetchone()  # type: ignore[misc]
            self._leases += 1
            if self._leases % _SWEEP == 0:
                db.execute(
                    "DELETE FROM mnemos.server_rates WHERE at < now() - make_interval(secs => %s)", (2 * burst / rate,)
                )
        return float(taken) if taken >= 1 else -float((1 - tokens) / rate)


def secret(where: DatabaseUrl, name: str, first: bytes) -> bytes:
    """Return the secret of a name that all servers on a database share; where there is none, it becomes `first`."""
    table = _Table(where)
    try:
        with table._shared.connection() as db:
            db.execute(
                "INSERT INTO mnemos.server_secrets VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
                (name, first),
            )
            row = db.execute("SELECT value FROM mnemos.server_secrets WHERE name = %s", (name,)).fetchone()
    finally:
        table.close()
    return bytes(row[0])  # type: ignore[index]


def _key(row: Sequence[Any]) -> KeyRow:
    key_id, name, salt, hash_, spaces, rights, *times = row
    return KeyRow(key_id, name, salt, hash_, tuple(spaces), tuple(rights), *times)
