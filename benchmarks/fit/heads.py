"""Find a model's retrieval heads, and what eviction costs its layers, on facts between the sentences of novels.

    python -m benchmarks.fit.heads --model smollm2 --books FOLDER --out src/mnemos/activation/forget/smollm2_heads.json

The books of the development half are used (`mnemos.bench.kv.prose`), the others are for reports. Costs a prefill of 512
tokens a question: two minutes on one core for the twelve questions of six contexts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from mnemos.activation import CacheMethod
from mnemos.activation.forget.calibrated import Calibration
from mnemos.activation.forget.compresskv import layer_errors, semantic_scores
from mnemos.activation.forget.retrieval_heads import retrieval_scores
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.kv.trials import RealModel

QUESTIONS, SHARE = 2, 0.125  # of a context; the share that is kept where errors of layers are measured


def found_at(context: Tensor, answer: Tensor) -> Tensor | None:
    """Return the positions (1, a) at which an answer (1, a) stands in a context (1, T), the first time; None: nowhere."""
    windows = context[0].unfold(0, answer.shape[1], 1)
    found = (windows == answer).all(1).nonzero()
    return None if not len(found) else (found[0] + torch.arange(answer.shape[1]))[None]


def fit(model: RealModel, contexts: int) -> Calibration:
    """Return what was found, the mean over questions."""
    retrieval, semantic, errors = [], [], []
    method = CacheMethod(SnapKV(), prompt=SHARE)
    for trial in model.trials(("facts",), contexts):
        asked = 0
        for ask in trial.asks:
            question, answer = torch.tensor([ask.question]), torch.tensor([ask.answer])
            if asked == QUESTIONS or (at := found_at(trial.ids, answer)) is None:
                continue
            asked += 1
            retrieval.append(retrieval_scores(model.model, trial.ids, question, answer, at))
            semantic.append(semantic_scores(model.model, trial.ids, question, answer, at))
            errors.append(layer_errors(model.model, method, trial.ids, question, SHARE))
    where = f"{len(retrieval)} questions about {contexts} contexts of {', '.join(sorted(model.prose.books))}"
    means = [torch.stack(found).mean(0) for found in (retrieval, semantic, errors)]
    return Calibration(*means, found_on=where)


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--books", type=Path)
    parser.add_argument("--contexts", type=int, default=6)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with one_thread(), torch.no_grad():
        model = RealModel.load(given.model, given.books, "development", dtype="bfloat16")
        found = fit(model, given.contexts)
    found.save(given.out)
    strong = int((found.retrieval > 0.1).sum())
    print(f"{strong} of {found.retrieval.numel()} heads retrieve; on {found.found_on}")


if __name__ == "__main__":
    main()
