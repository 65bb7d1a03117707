"""Rows of a query, whatever bytes a damaged file has where a text should be."""

from __future__ import annotations

import sqlite3
from typing import Any


class Undecodable(bytes):
    """A text that is not UTF-8, as its bytes. Of a type of its own, so that it fits no column."""


def fetch(db: sqlite3.Connection, query: str, values: Any = ()) -> list[Any]:
    """Return the rows of a query; a text that is not UTF-8 comes as `Undecodable` instead of ending the query."""
    try:
        return db.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    db.text_factory = decode
    try:
        return db.execute(query, values).fetchall()
    finally:
        db.text_factory = str


def decode(data: bytes) -> str | Undecodable:
    """Return the text of UTF-8 bytes, or the bytes if they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Undecodable(data)
