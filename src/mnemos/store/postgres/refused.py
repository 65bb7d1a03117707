"""Errors of a database as errors of Mnemos, with the cause and what to do. No message has a password."""

from __future__ import annotations

import psycopg
from psycopg import errors

from mnemos.errors import OutOfFiles, ReadOnly, StoreBusy, StoreError, StoreFull
from mnemos.location import DatabaseUrl, masked

_SHOWN = 300  # characters of what the database said
# What libpq and the server say about a connection that was refused -> what to do. Found by a part of the text, in order.
_CONNECTING: tuple[tuple[str, str], ...] = (
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


def of_connecting(error: Exception, where: DatabaseUrl) -> StoreError:
    """Return the error of a connection that was not made."""
    text = str(error)
    if isinstance(error, psycopg.ProgrammingError):  # of a URL, which its message quotes
        return StoreError(f"{where} is not a URL that Postgres' client can read. Check what follows the ?.")
    low = text.lower()
    for part, cause in _CONNECTING:
        if part in low:
            return StoreError(f"{where} {cause}.")
    return StoreError(f"{where} cannot be reached ({_said(text)}). Check the URL and the server.")


def of_statement(error: psycopg.Error, where: DatabaseUrl) -> StoreError:
    """Return the error of a statement. What it wrote was rolled back, unless the connection broke while it was committed."""
    said = _said(str(error))
    match error:
        case errors.DiskFull() | errors.OutOfMemory():
            return StoreFull(f"the disk of {where} is full. Nothing of this write was stored. Make room and try again.")
        case errors.ReadOnlySqlTransaction():
            return ReadOnly(
                f"{where} is read-only (a standby, or default_transaction_read_only). Write to the primary."
            )
        case errors.InsufficientPrivilege():
            return StoreError(f"{where}: this user lacks a right ({said}). Grant it, or use another user.")
        case errors.TooManyConnections():
            return OutOfFiles(f"{where} has no connection free (max_connections). Close some, or use a pooler.")
        case (
            errors.LockNotAvailable()
            | errors.QueryCanceled()
            | errors.DeadlockDetected()
            | errors.SerializationFailure()
        ):
            return StoreBusy(f"{where} is busy ({said}). Nothing of this write was stored. Try again later.")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return StoreError(
                f"the connection to {where} broke ({said}). What was acknowledged is stored; check whether the last write "
                "was, and try again."
            )
    return StoreError(f"{where} refused a statement ({said}).")


def _said(text: str) -> str:
    return masked(" ".join(text.split()))[:_SHOWN]
