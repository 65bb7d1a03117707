"""Values between Python and Postgres: texts with NUL, which Postgres cannot store, and half-precision vectors.

A text is written as it is, unless it holds NUL or the escape character U+0001: these are written as U+0001 and a letter. All
texts go through it, so that what is compared, sorted and searched is of one kind.
"""

from __future__ import annotations

import re
from typing import Any

from psycopg import Connection, ProgrammingError
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.string import StrBinaryDumper, StrDumper, StrDumperUnknown

_ESCAPED = {"\0": "\x01z", "\x01": "\x01e"}
_PLAIN = {"z": "\0", "e": "\x01"}
_ODD, _PAIR = re.compile("[\0\x01]"), re.compile("\x01(.)", re.DOTALL)


def escape(text: str) -> str:
    """Return a text without NUL."""
    if "\0" not in text and "\x01" not in text:
        return text
    return _ODD.sub(lambda found: _ESCAPED[found[0]], text)


def unescape(text: str) -> str:
    """Return the text that `escape` was given."""
    return text if "\x01" not in text else _PAIR.sub(lambda found: _PLAIN.get(found[1], found[0]), text)


class _Unknown(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(escape(obj))


class _Text(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(escape(obj))


class _Binary(StrBinaryDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(escape(obj))


class _Load(Loader):
    def load(self, data: Buffer) -> str:
        text = str(data, "utf-8")
        return text if "\x01" not in text else unescape(text)


class _LoadBinary(_Load):
    format = Format.BINARY


def adapt_text(connection: Connection[Any]) -> None:
    """Teach a connection texts with NUL."""
    for dumper in (_Binary, _Text, _Unknown):  # the last one is the first that is tried
        connection.adapters.register_dumper(str, dumper)
    for loader in (_Load, _LoadBinary):
        connection.adapters.register_loader("text", loader)


def adapt(connection: Connection[Any]) -> None:
    """Teach a connection texts and vectors. Raises ProgrammingError when the database has no pgvector. A few queries."""
    from pgvector.psycopg import register_vector

    adapt_text(connection)
    register_vector(connection)
    if connection.adapters.types.get("halfvec") is None:
        raise ProgrammingError("the type halfvec is missing: pgvector is older than 0.7")
