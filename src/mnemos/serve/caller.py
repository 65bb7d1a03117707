"""The key of the request that is being served, for code that gets no request."""

from __future__ import annotations

from contextvars import ContextVar

from mnemos.serve.access import check_rights, missing
from mnemos.serve.keys import Key

CALLER: ContextVar[Key | None] = ContextVar("mnemos_caller", default=None)


def may_read(space: str) -> bool:
    """Tell whether the key of this request may read a space."""
    key = CALLER.get()
    return key is not None and key.may("read", space)


def check(space: str, rights: tuple[str, ...]) -> Key:
    """Return the key of this request if it may read a space and has these rights in it.

    A space that the key may not read looks like one that does not exist. Raises NotFound, Forbidden.
    """
    key = CALLER.get()
    if key is None:
        raise missing(space)
    check_rights(key, space, "read", *rights)
    return key
