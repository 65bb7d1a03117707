"""What the matrix of model families combines, and what it finds of one combination; see `families`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class Cell(TypedDict, total=False):
    """What was found of one combination."""

    outcome: str  # one of `families.SIGNS`
    error: float  # the largest difference of a logit, as a share of the largest logit
    held: float  # bytes, as a share of a full cache's
    why: str


@dataclass(frozen=True)
class Options:
    """What is combined."""

    families: tuple[str, ...] = ()  # their names; none: all
    methods: tuple[str, ...] = ()  # presets; none: all
    add_to: Path | None = None  # an earlier result, whose other families and methods are kept
