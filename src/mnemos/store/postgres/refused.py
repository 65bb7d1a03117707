"""Why a connection was refused, and what to do. The client says it in words only, without a code."""

from __future__ import annotations

# What libpq and the server say about a connection that was refused -> what to do. Found by a part of the text, in order.
_CAUSES: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "refused the user or the password. Check both; $PGPASSWORD or ~/.pgpass may hold it"),
    ("no password supplied", "asks for a password: put it into $PGPASSWORD, ~/.pgpass or the URL"),
    ("no pg_hba.conf entry", "does not admit this user from this host (pg_hba.conf). Ask who runs the server"),
    ('role "', "has no such user. Check the name before the @"),
    ('database "', "has no such database: create it with `createdb`, or check the name after the last /"),
    ("could not translate host name", "names a host that is not known. Check the spelling of the host"),
    ("failed to resolve host", "names a host that is not known. Check the spelling of the host"),
    ("connection refused", "is not answered: no server listens there. Start it, or check the host and the port"),
    ("no such file or directory", "is not answered: no server listens on that socket. Start it, or check the folder"),
    ("timeout", "is not answered in time. Check the host, the port and the firewall"),
    ("too many", "has no connection free (max_connections). Close some, raise the limit or use a pooler"),
    ("remaining connection slots", "has no connection free (max_connections). Close some, raise the limit or use a pooler"),
    ("starting up", "is still starting. Try again in a moment"),
    ("shutting down", "is shutting down. Try again in a moment"),
    ("recovery", "is still recovering from a crash. Try again in a moment"),
    ("ssl", "and this client do not agree on TLS. Check sslmode in the URL"),
)  # fmt: skip


def cause_of(said: str) -> str | None:
    """Return the cause in what was said about a connection, as the end of a sentence; None when it is not known."""
    low = said.lower()
    return next((cause for part, cause in _CAUSES if part in low), None)
