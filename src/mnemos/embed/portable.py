"""Embedders that travel to workers."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache

from mnemos.embed.base import Embedder
from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Portable:
    """Carries an embedder in a task. A worker makes it once, so that a model is loaded once, whatever number of tasks."""

    embedder: Embedder

    def __reduce__(self) -> tuple[object, ...]:
        try:
            return _received, (pickle.dumps(self.embedder),)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise InvalidInput(
                f"the embedder {self.embedder.name} cannot be sent to workers ({error}). Let its class support pickle, or "
                "work without workers."
            ) from error


@lru_cache(maxsize=2)
def _received(packed: bytes) -> Portable:
    """Return the embedder that another process of this program has sent."""
    return Portable(pickle.loads(packed))
