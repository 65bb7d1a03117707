"""A transaction of a connection, as a context manager: the same for every engine."""

from __future__ import annotations

from types import TracebackType
from typing import Generic, Protocol, TypeVar

Db = TypeVar("Db", covariant=True)
E = TypeVar("E", bound=Exception)


class Begins(Protocol[Db, E]):
    """A connection that begins and ends transactions of the calling thread."""

    @property
    def failure(self) -> type[E]:
        """The errors of its engine."""

    def begin(self, write: bool) -> tuple[Db, bool]:
        """Begin a transaction, or join that of this thread; return what runs queries, and whether it was begun."""

    def end(self, begun: bool, *, commit: bool) -> None:
        """Commit or roll back what `begin` has begun."""

    def explain(self, error: E) -> Exception:
        """Return an error of the engine as one that says what to do."""


class Transaction(Generic[Db, E]):
    """A transaction, committed on exit and rolled back on any error: several times as fast as a generator, and entered often."""

    __slots__ = ("_begun", "_connection", "_write")

    def __init__(self, connection: Begins[Db, E], *, write: bool) -> None:
        self._connection, self._write, self._begun = connection, write, False

    def __enter__(self) -> Db:
        try:
            db, self._begun = self._connection.begin(self._write)
        except self._connection.failure as error:
            raise self._connection.explain(error) from error
        return db

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = self._connection.failure
        try:
            self._connection.end(self._begun, commit=error is None)
        except failure as other:
            raise self._connection.explain(other) from other
        if isinstance(error, failure):
            raise self._connection.explain(error) from error
