"""Tuning: what a space has learned of its own feedback, as a cube in the form of weights that is derived from memories.

The cube has the memories that were used, and those that the training set against them, as its parents: erasing one of
them erases what was learned from it, in the same transaction and in every process.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mnemos.embed.base import Embedder
from mnemos.errors import DamagedRow, EmbedderError
from mnemos.store.base import Store
from mnemos.store.setting import stored_value
from mnemos.text.base import Retriever
from mnemos.text.recall.factors import GROUPS
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.query_head import QueryHead

KIND = "tuning"  # of the cube
KEY = "tuning"  # of the value that says which row it is


@dataclass(frozen=True, slots=True)
class Tuning:
    """A query head and the factors of the fusion, with what the check said of them."""

    model: tuple[str, str, int]  # name, revision and dimension of the embedder that the head is for
    factors: Mapping[str, float] = field(default_factory=dict)  # by group of signals; 1 where there is none
    head: QueryHead | None = None
    report: Mapping[str, Any] = field(default_factory=dict)  # questions, and the figures before and after

    def to_json(self) -> dict[str, Any]:
        """Return it as the metadata of a cube."""
        return {
            "model": list(self.model), "factors": dict(self.factors), "report": dict(self.report),
            "head": None if self.head is None else self.head.to_json(),
        }  # fmt: skip

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Tuning:
        """Return the tuning that `to_json` wrote. Raises ValueError and the like for anything else."""
        name, revision, dimension = data["model"]
        factors = {g: float(data["factors"].get(g, 1.0)) for g in GROUPS}
        if not all(math.isfinite(f) and 0 < f < 100 for f in factors.values()):
            raise ValueError("a factor is no positive number")
        head = None if data["head"] is None else QueryHead.from_json(data["head"], int(dimension))
        return Tuning((str(name), str(revision), int(dimension)), factors, head, dict(data["report"]))


def model_of(embedder: Embedder | None) -> tuple[str, str, int] | None:
    """Return the name, revision and dimension of an embedder; None where it has none, or cannot say it now."""
    try:
        return None if embedder is None else (embedder.name, embedder.revision, embedder.dimension)
    except EmbedderError:
        return None


class Installed:
    """The tuning that a space has installed, read again only when another one may be."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: object = None  # token of the store when `_found` was up to date
        self._found: tuple[int, Tuning | None] = 0, None

    def key(self) -> int:
        """Return the key of the installed cube; 0 where there is none, or it was erased."""
        key = stored_value(self._store, KEY, int) or 0
        return key if key and self._store.ids_of([key]) else 0

    def current(self) -> Tuning | None:
        """Return the tuning; None where there is none, or it was erased. One statement where nothing was written since."""
        token = self._store.change_token()
        if token is None or token != self._seen:
            if (key := self.key()) != self._found[0]:
                self._found = key, self._read(key) if key else None
            self._seen = token
        return self._found[1]

    def _read(self, key: int) -> Tuning | None:
        """Return the tuning of a cube; None, with a warning, where it is damaged."""
        try:
            return Tuning.from_json(self._store.by_key([key])[key].metadata)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            warnings.warn(
                f"what was tuned of space {self._store.space!r} is damaged ({error!r:.80}) and counts as not there. Run "
                "`mnemos tune` again, or `mnemos tune --undo`.",
                DamagedRow,
                stacklevel=6,
            )
            return None

    def retriever(self, base: Retriever, embedder: Embedder | None) -> Retriever:
        """Return a retriever as the space has tuned it; as it is where it is not `hybrid`, or for another embedder."""
        if not isinstance(base, Hybrid) or (found := self.current()) is None or found.model != model_of(embedder):
            return base
        return replace(base, head=found.head, factors=found.factors)
