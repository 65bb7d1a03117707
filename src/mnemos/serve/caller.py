"""The key of the request that is being served, for code that gets no request."""

from __future__ import annotations

from contextvars import ContextVar

from mnemos.errors import InvalidInput
from mnemos.serve.access import missing
from mnemos.serve.keys import Key

CALLER: ContextVar[Key | None] = ContextVar("mnemos_caller", default=None)


def may_read(space: str) -> bool:
    """Tell whether the key of this request may read a space."""
    key = CALLER.get()
    return key is not None and key.may("read", space)


def check(space: str, rights: tuple[str, ...]) -> Key:
    """Return the key of this request if it has these rights in a space.

    A space that the key may not read looks like one that does not exist. Raises NotFound, InvalidInput.
    """
    key = CALLER.get()
    if key is None or not key.may("read", space):
        raise missing(space)
    if lacking := [right for right in rights if not key.may(right, space)]:
        raise InvalidInput(f"this key lacks the right to {' and '.join(lacking)} here.")
    return key
