"""What a classifier says of a text; here, so that a client needs no PyTorch to read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """A label and how much speaks for it: about 1 for what was learned often, about 0 for what was not."""

    name: str
    score: float
