"""What a server stores for itself: API keys, answers under an Idempotency-Key, and the conversations of its proxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

SERVER = "serve"  # the folder of a root for all of this; it cannot be the file of a space, which ends in .mnemos


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key as it is stored. Times are microseconds since 1970."""

    id: str
    name: str
    salt: bytes
    hash: bytes  # of the secret part, which is not stored
    spaces: tuple[str, ...]
    rights: tuple[str, ...]
    made: int
    expires: int | None = None
    revoked: int | None = None


class Keys(Protocol):
    """The API keys of an installation, shared by threads and processes. Every method raises StoreError."""

    remote: bool  # whether a call may wait for a network

    def add(self, row: KeyRow, *, only_first: bool = False) -> bool:
        """Store a key; with `only_first` only if there has never been any. Return whether it was stored."""

    def find(self, key_id: str) -> KeyRow | None:
        """Return a key, expired and revoked ones too; None when there is no such id."""

    def all(self) -> list[KeyRow]:
        """Return all keys, oldest first."""

    def revoke(self, key_id: str, at: int) -> KeyRow | None:
        """Make a key invalid unless it is already; return it, or None when there is no such id."""

    def change_token(self) -> object:
        """Return a value that is equal as long as no key was added or revoked, by this process or another."""

    def close(self) -> None:
        """Release the keys."""


class Answers(Protocol):
    """Answers by the name of a request, shared by threads and processes. Every method raises StoreError."""

    def reserve(self, name: bytes, body: bytes, now: float, oldest: float) -> tuple[bytes, str | None] | None:
        """Reserve a name for a request and return None; or the (body, answer) stored under it, None for no answer yet.

        What was reserved before `oldest` (seconds since 1970, as `now`) is removed first.
        """

    def finish(self, name: bytes, answer: str | None) -> None:
        """Store the answer under a reserved name; None frees the name."""

    def close(self) -> None:
        """Release the answers."""


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A place in a conversation: what had been said up to there. It contains no text."""

    key: str  # a keyed hash of all that had been said
    root: str  # of the conversation: the ids of its messages are derived from it
    at: float  # seconds since 1970
    done: bool  # whether something followed


class Chats(Protocol):
    """Places in the conversations of a proxy, shared by threads and processes. Every method raises StoreError."""

    def find(self, keys: Sequence[str], oldest: float) -> list[ChatRow]:
        """Return the rows of some keys from `oldest` on, the newest first."""

    def all(self) -> list[ChatRow]:
        """Return all rows, oldest first."""

    def put(self, rows: Sequence[ChatRow], oldest: float) -> None:
        """Write rows, a later time and `done` over those of the same key and root; remove rows from before `oldest`."""

    def close(self) -> None:
        """Release the rows."""


class Rates(Protocol):
    """The requests that callers may still make, shared by all servers of a root: a token bucket for each of them."""

    def lease(self, caller: str, rate: float, burst: int, wanted: int) -> float:
        """Take up to `wanted` whole tokens from a bucket, which gets `rate` a second and holds `burst`; return how many.

        When there is none, return the negative number of seconds until there is one. Raises StoreError.
        """

    def close(self) -> None:
        """Release the buckets."""
