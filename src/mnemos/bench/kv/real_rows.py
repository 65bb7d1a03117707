"""The rows of `real`: all presets at all shares, and what they are compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnemos.activation import CacheMethod
from mnemos.activation.presets import Preset, all_presets
from mnemos.activation.recipes import for_documents
from mnemos.bench.kv.checkpoints import cache_root
from mnemos.bench.kv.evaluate import Score, evaluate
from mnemos.bench.kv.real_options import Options
from mnemos.bench.kv.trials import KNOWN, TASKS, RealModel, Trial
from mnemos.bench.progress import Progress
from mnemos.bench.registry import RESULTS, near
from mnemos.errors import InvalidInput, NotFound

CODED = "transform-coding"  # the preset that is better with a spectrum of the model
# the task here on which the claim of a paper is measured, by the one that a method is registered with
TASK_OF_ROW = {"key-value": "facts", "topics": "facts", "key-value-known": KNOWN, "records-known": KNOWN}


def measure(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the result of the options."""
    presets = chosen_presets(options.methods)
    folder = options.cache or cache_root() / "prefills"
    model = RealModel.load(options.model, options.books, options.half, folder, options.dtype, options.length)
    trials = model.trials(options.tasks or tuple(TASKS), options.limit)
    progress.expect(len(presets) * len(options.shares) + 1)
    result: dict[str, Any] = {
        "model": Path(options.model).name, "dtype": options.dtype, "books": sorted(model.prose.books),
        "half": options.half, "contexts": options.limit, "length": options.length, "shares": list(options.shares),
        "full": {}, "methods": {}, "small": of_the_small_model(),
    }  # fmt: skip
    if options.add_to is not None:
        result = kept(options.add_to, result)
    unmeasured = [trial for trial in trials if trial.task not in result["full"]]
    for task, score in evaluate(model, CacheMethod(), unmeasured, 1.0).items():
        result["full"][task] = cell(score)
    progress(1)
    for name, preset in presets.items():
        row = result["methods"].setdefault(name, {})
        row["task"] = TASK_OF_ROW.get(preset.task, "facts")
        for share in options.shares:
            for task, score in found(model, name, preset, trials, share).items():
                row.setdefault(task, {})[str(share)] = cell(score)
            progress(1)
    return result


def chosen_presets(names: Sequence[str]) -> dict[str, Preset]:
    """Return the presets of these names, or all. Raises NotFound for an unknown one."""
    presets = all_presets()
    for name in names:
        if name not in presets:
            raise NotFound(f"there is no cache method {name!r}: {near(name, presets)}")
    return {name: presets[name] for name in names or presets}


def of_the_small_model(share: str = "0.25") -> dict[str, Any]:
    """Return what the last result of `kv` says of each method at a share, by task, for comparison; {} without one."""
    path = RESULTS / "kv" / "kv.json"
    if not path.exists():
        return {}
    rows = json.loads(path.read_text("utf-8"))["methods"]
    shown = ("key-value", "key-value-known")
    return {
        name: {
            task: {key: cells[share][key] for key in ("accuracy", "held")}
            for task in shown
            if share in (cells := row["tasks"][task])
        }
        for name, row in rows.items()
    }


def kept(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Return an earlier result, whose cells are kept. Raises InvalidInput where it is of other contexts."""
    before: dict[str, Any] = json.loads(path.read_text("utf-8"))
    same = ("model", "dtype", "books", "half", "contexts", "length")
    if differing := [name for name in same if before.get(name) != result[name]]:
        raise InvalidInput(f"{path} was measured with another {', '.join(differing)}: its cells cannot be kept.")
    shares = sorted({*before["shares"], *result["shares"]}, reverse=True)
    return {name: before[name] for name in ("command", *result) if name != "small"} | {
        "shares": shares,
        "small": result["small"],
    }


def found(model: RealModel, name: str, preset: Preset, trials: Sequence[Trial], share: float) -> dict[str, Score]:
    """Return the scores of a preset at a share, by task; none where it cannot be that small, or evicts in no steps.

    Transform coding is given the spectrum of the model, as `recipes.for_documents` asks for.
    """
    scores: dict[str, Score] = {}
    method = (lambda share: for_documents(share, model.spectrum)) if name == CODED else preset.at_share
    for stepwise in (False, True) if preset.phase == "decode" else (False,):
        for task in dict.fromkeys(trial.task for trial in trials if trial.stepwise == stepwise):
            with suppress(InvalidInput):
                scores |= evaluate(model, method, [trial for trial in trials if trial.task == task], share)
    return scores


def cell(score: Score) -> dict[str, Any]:
    """Return a score as it is written to the result."""
    return {
        "mean": round(score.mean, 4), "error": round(score.error, 4), "held": round(score.held, 4),
        "ms": round(1e3 * score.seconds), "exact": score.exact, "each": [round(each, 4) for each in score.each],
    }  # fmt: skip
