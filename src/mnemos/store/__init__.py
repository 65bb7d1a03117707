"""Where cubes live: the `Store` protocol and its SQLite implementation."""

from mnemos.store.base import Changes, DateRow, Entry, Filter, IndexRow, Scanned, Store
from mnemos.store.sqlite.store import SqliteStore

__all__ = ["Changes", "DateRow", "Entry", "Filter", "IndexRow", "Scanned", "SqliteStore", "Store"]
