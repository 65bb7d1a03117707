"""The options of `real`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Options:
    """Which methods, on which model and texts."""

    model: str = "smollm2"  # folder of a causal model as transformers saves it, or smollm2
    books: Path | None = None  # folder of novels (*.txt) for the contexts; without it Python's own reference
    half: Literal["report", "development"] = "report"  # half of the books; fit on development only
    methods: tuple[str, ...] = ()  # cache methods to measure instead of all
    tasks: tuple[str, ...] = ()  # tasks to measure instead of all
    shares: tuple[float, ...] = (0.5, 0.25, 0.125, 0.0625)  # shares of a full cache's bytes
    limit: int = 4  # contexts of a task
    length: int = 512  # tokens of a context, at most
    dtype: str = "bfloat16"  # in which the model runs: bfloat16, float16 or float32
    cache: Path | None = None  # folder of recorded prefills, some 50 MB each (default: in the user's cache)
    add_to: Path | None = None  # an earlier result of the same contexts, whose other cells are kept
