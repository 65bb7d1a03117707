"""A warning where somebody asks what was believed before anything was."""

from __future__ import annotations

import warnings

from mnemos.cube import from_micros
from mnemos.errors import NothingBelieved
from mnemos.store.base import Store
from mnemos.store.values import Filter


def warn_if_early(store: Store, as_of: int | None) -> None:
    """Warn if nothing had been learned at `as_of`, as in an import of old memories, and name `true_at`. Two lookups."""
    if as_of is None or store.select(Filter(as_of=as_of, state=None), after=0, limit=1):
        return
    if store.select(Filter(state=None), after=0, limit=1):
        warnings.warn(
            f"as_of is {from_micros(as_of):%Y-%m-%d %H:%M} UTC, before anything was learned, so nothing was found: as_of asks "
            "what was believed then. Ask with true_at for what was so then, whenever it was told.",
            NothingBelieved,
            stacklevel=4,
        )
