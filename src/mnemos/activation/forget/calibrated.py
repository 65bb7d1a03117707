"""What was found once of a model's heads and layers, as a small file: for retrieval heads, CompressKV and their budgets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.forget.compresskv import CompressKV, ErrorBudgets, top_heads
from mnemos.activation.forget.retrieval_heads import RetrievalHeads
from mnemos.errors import InvalidInput, StoreCorrupt

SHIPPED = {"smollm2": Path(__file__).with_name("smollm2_heads.json")}  # SmolLM2-135M-Instruct
DIGITS = 4


@dataclass(frozen=True)
class Calibration:
    """Scores of heads and layers, found on texts whose questions and answers are known."""

    retrieval: Tensor  # (L, H, G) of `retrieval_scores`
    semantic: Tensor  # (L, H, G) of `semantic_scores`
    errors: Tensor  # (L,) of `layer_errors`
    found_on: str  # texts and model

    @staticmethod
    def load(path: str | Path) -> Calibration:
        """Read a file, or the one of `smollm2` that comes with Mnemos; `python -m benchmarks.fit.heads` makes them.

        Raises InvalidInput where there is none, and StoreCorrupt for a file that is damaged.
        """
        file = SHIPPED.get(str(path), Path(path))
        if not file.is_file():
            raise InvalidInput(f"there is no calibration in {file}: give a file, or one of {', '.join(SHIPPED)}.")
        try:
            found = json.loads(file.read_text("utf-8"))
            retrieval, semantic, errors = (torch.tensor(found[n]).float() for n in ("retrieval", "semantic", "errors"))
            made = Calibration(retrieval, semantic, errors, str(found["found_on"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreCorrupt(f"{file} is no calibration ({error!s:.200}): fit it again.") from error
        if made.retrieval.dim() != 3 or made.semantic.shape != made.retrieval.shape:
            raise StoreCorrupt(f"{file} is no calibration: scores are not of layers, heads and groups. Fit it again.")
        return made

    def save(self, path: str | Path) -> None:
        """Write the file."""

        def rounded(value: Any) -> Any:
            return [rounded(v) for v in value] if isinstance(value, list) else round(value, DIGITS)

        tensors = {name: rounded(getattr(self, name).tolist()) for name in ("retrieval", "semantic", "errors")}
        Path(path).write_text(json.dumps({"found_on": self.found_on, **tensors}) + "\n", "utf-8")

    def heads(self, least: int = 4) -> RetrievalHeads:
        """Return budgets by head: those that retrieve hold what fits, the others `least` entries."""
        return RetrievalHeads(self.retrieval, least=least)

    def votes(self, count: int = 4, window: int | None = None) -> CompressKV:
        """Return the score in which the `count` best heads of a layer vote."""
        return CompressKV(top_heads(self.semantic, count), window)

    def budgets(self) -> ErrorBudgets:
        """Return budgets by layer, in proportion to what eviction costs it."""
        return ErrorBudgets(self.errors)
