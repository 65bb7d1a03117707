"""Fit the probability that a hit answers, and that any does, and show how well it holds on sets that were left out.

    python -m benchmarks fit-relevance --locomo locomo10.json --beam beam_100k --lifebench lifebench \
        --factconsolidation single_hop.json --qmsum val.jsonl --xquad xquad

Two logistic regressions over the evidence for a hit (`mnemos.text.recall.evidence`), one over hits, one over the largest
of each feature among the first ten, by Newton's method with an L2 penalty; both again without the features of vectors.
A set weighs by the root of its questions. Each family of sets is left out in turn and judged by what the others give: the
figures are of those. Last, all are fitted. Below the confidence `silent` context shows nothing: when their set is left out, at
most 2 of 100 questions of LoCoMo (and of BEAM, where it is given) that a search answers are below it, and 10 of the hands'.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit.asked import MAKERS, Asked, ask, plans
from mnemos.bench.cells import percent
from mnemos.bench.plots import BLUE, GREY, VERMILION, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.silence import BINS, calibration_error
from mnemos.bench.text.task import checksum
from mnemos.errors import InvalidInput
from mnemos.system import Mnemos
from mnemos.text.recall.evidence import FEATURES, WORD_FEATURES
from mnemos.text.recall.relevance import ANSWERABLE, names_all

OUT = Path("src/mnemos/text/recall/relevance.json")
L2, STEPS = 1e-2, 30
MAY_LOSE = {
    "locomo": 0.01,
    "beam": 0.01,
    "hands": 0.01,
}  # share of the answered questions of a set that may be silenced
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """The sets, each optional, and where to keep and write."""

    locomo: Path | None = None  # locomo10.json
    beam: Path | None = None  # the folder of BEAM chats
    lifebench: Path | None = None  # the folder with en/ and zh/
    factconsolidation: Path | None = None  # single_hop.json
    qmsum: Path | None = None  # val.jsonl
    xquad: Path | None = None  # the folder with xquad.en.json
    root: Path | None = None  # keep the spaces here, so that another run embeds nothing
    write: Path = OUT  # where to write the models


class Logistic:
    """A logistic regression over standardised columns."""

    def __init__(self, columns: Sequence[int]) -> None:
        self.columns = list(columns)
        self.mean = self.scale = np.zeros(len(self.columns))
        self.weights = np.zeros(len(self.columns) + 1)

    def fit(self, table: Floats, right: NDArray[np.bool_], share: Floats) -> Logistic:
        """Fit by Newton's method; returns self."""
        x = table[:, self.columns]
        self.mean, self.scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        z, share = self._standard(x), share / share.sum()
        penalty = np.r_[np.full(len(self.columns), 2 * L2), 1e-9]
        for _ in range(STEPS):
            p = _sigmoid(z @ self.weights)
            gradient = z.T @ (share * (p - right)) + penalty * self.weights
            curvature = (z * (share * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ z + np.diag(penalty)
            step = np.linalg.solve(curvature, gradient)
            self.weights = self.weights - step * min(1.0, 4 / np.abs(step).max())
            if np.abs(step).max() < 1e-7:
                break
        return self

    def __call__(self, table: Floats) -> Floats:
        """Return the probability of each row."""
        return _sigmoid(self._standard(table[:, self.columns]) @ self.weights)

    def _standard(self, x: Floats) -> Floats:
        return np.hstack([(x - self.mean) / self.scale, np.ones((len(x), 1))])

    def plain(self) -> dict[str, Any]:
        """Return the weights of the features as they are, by name, and the bias."""
        raw = self.weights[:-1] / self.scale
        named = {FEATURES[c]: round(float(w), 5) for c, w in zip(self.columns, raw, strict=True)}
        return {"weights": named, "bias": round(float(self.weights[-1] - raw @ self.mean), 5)}


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def of_hits(asked: Sequence[Asked]) -> tuple[Floats, NDArray[np.bool_], list[int]]:
    """Return the rows of all hits, which are right, and how many each question has."""
    return (
        np.concatenate([a.table for a in asked]).astype(np.float64),
        np.concatenate([a.right for a in asked]),
        [len(a.right) for a in asked],
    )


def of_searches(asked: Sequence[Asked]) -> tuple[Floats, NDArray[np.bool_], list[int]]:
    """Return the row of each search, and whether any of its hits is right."""
    rows = np.array([a.summary for a in asked], dtype=np.float64)
    return rows, np.array([bool(a.right.any()) for a in asked]), [1] * len(asked)


ROWS: dict[str, Callable[[Sequence[Asked]], tuple[Floats, NDArray[np.bool_], list[int]]]] = {
    "hit": of_hits, "any": of_searches,
}  # fmt: skip


def fitted(asked: Sequence[Asked], what: str, names: Sequence[str]) -> Logistic:
    """Return the regression over hits or searches."""
    counts = Counter((a.set, a.kind == "told") for a in asked)
    rows, right, sizes = ROWS[what](asked)
    share = np.repeat([1 / counts[a.set, a.kind == "told"] ** 0.5 for a in asked], sizes)
    return Logistic([FEATURES.index(name) for name in names]).fit(rows, right, share)


def left_out(asked: Sequence[Asked], names: Sequence[str]) -> dict[str, Any]:
    """Return, for each set, the probabilities by what the other families give: of hits, and of searches."""
    found: dict[str, Any] = {}
    for family in sorted({a.family for a in asked}):
        others = [a for a in asked if a.family != family]
        models = {what: fitted(others, what, names) for what in ROWS}
        for name in sorted({a.set for a in asked if a.family == family}):
            mine = [a for a in asked if a.set == name]
            judged = {}
            for what, model in models.items():
                rows, right, _ = ROWS[what](mine)
                judged[what] = (model(rows), right)
            told, named = (
                np.array(x) for x in ([a.kind == "told" for a in mine], [names_all(a.summary) for a in mine])
            )
            found[name] = {"told": told, "named": named, **judged}
    return found


def thresholds(judged: dict[str, Any]) -> dict[str, float]:
    """Return the confidence below which context shows nothing, and that from which a search is answerable."""
    safe = [np.quantile(shown(j)[j["any"][1]], MAY_LOSE[name]) for name, j in judged.items() if name in MAY_LOSE]
    if not safe:
        raise InvalidInput("give --locomo or --beam: the threshold is what their questions can bear.")
    return {"silent": round(float(min(safe)), 3), "answerable": ANSWERABLE}


def shown(judged: dict[str, Any]) -> Floats:
    """Return the confidence of each search, 1 where a hit has all names of the question: context is never silent then."""
    found: Floats = np.where(judged["named"], 1.0, judged["any"][0])
    return found


def area(right: NDArray[np.bool_], scores: Floats) -> float | None:
    """Return the probability that a right one has the higher score (AUC); None where all are alike."""
    if right.all() or not right.any():
        return None
    ranks = np.searchsorted(np.sort(scores), scores, side="left") + np.searchsorted(np.sort(scores), scores, "right")
    n = int(right.sum())
    return round(float(((ranks[right] + 1) / 2).sum() - n * (n + 1) / 2) / (n * (len(right) - n)), 4)


def figures(judged: dict[str, Any], limits: dict[str, float]) -> dict[str, Any]:
    """Return the figures of each set, as it was judged when it was left out."""
    found = {}
    for name, j in judged.items():
        (p, right), (confidence, answered), told = j["hit"], j["any"], j["told"]
        found[name] = {
            "questions": len(told),
            "without_answer": int((~told).sum()),
            "calibration_error": round(calibration_error(p.tolist(), right.tolist()), 4),
            "calibration_error_of_confidence": round(calibration_error(confidence.tolist(), answered.tolist()), 4),
            "area": area(answered, confidence),
            "silent_when_nothing": _below(shown(j)[~told], limits["silent"]),
            "silent_when_answered": _below(shown(j)[answered], limits["silent"]),
            "answerable_when_nothing": _below(confidence[~told], limits["answerable"]),
            "answerable_when_answered": _below(confidence[answered], limits["answerable"]),
        }
    return found


def _below(confidence: Floats, least: float) -> float | None:
    return round(float((confidence < least).mean()), 4) if len(confidence) else None


def reliability(judged: dict[str, Any], what: str) -> list[list[float]]:
    """Return (mean probability, frequency, share of all) by bin, over all sets that were left out, each set alike."""
    p, right = (np.concatenate([j[what][i] for j in judged.values()]).astype(float) for i in (0, 1))
    share = np.concatenate([np.full(len(j[what][0]), 1 / len(j[what][0]) / len(judged)) for j in judged.values()])
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    rows = []
    for b in range(BINS):
        inside = bins == b
        if inside.any():
            w = share[inside] / share[inside].sum()
            rows.append(
                [round(float(v), 4) for v in ((p[inside] * w).sum(), (right[inside] * w).sum(), share[inside].sum())]
            )
    return rows


def table(result: Result) -> Rows:
    """Return the figures of each set when it was left out."""
    lines: Rows = [[
        "set, left out", "questions, of which without an answer", "calibration error of relevance", "of confidence",
        "AUC of confidence", "context empty: nothing told", "context empty: answered", "not answerable: nothing told",
        "not answerable: answered",
    ]]  # fmt: skip
    for name, m in result["sets"].items():
        keys = [f"{what}_when_{case}" for what in ("silent", "answerable") for case in ("nothing", "answered")]
        cells = ["–" if m[key] is None else percent(m[key], 0) for key in keys]
        errors = [f"{m[key]:.3f}" for key in ("calibration_error", "calibration_error_of_confidence")]
        area_of = "–" if m["area"] is None else f"{m['area']:.3f}"
        lines.append([name, f"{m['questions']}, {m['without_answer']}", *errors, area_of, *cells])
    return lines


def plot(result: Result, path: Path) -> Path:
    """Draw the reliability: how often what was given a probability was right, on sets left out."""
    figure = new_figure(5.2, 4.2)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    for what, label, colour in (("hit", "relevance of a hit", BLUE), ("any", "confidence of a search", VERMILION)):
        rows = result["reliability"][what]
        axis.plot([r[0] for r in rows], [r[1] for r in rows], color=colour, linewidth=1.5, label=label)
        axis.scatter([r[0] for r in rows], [r[1] for r in rows], s=[20 + 400 * r[2] for r in rows], color=colour)
    axis.set(xlabel="probability given", ylabel="share that was right, on sets left out", xlim=(0, 1), ylim=(0, 1))
    axis.legend(frameon=False)
    tidy(axis)
    figure.savefig(path, dpi=144)
    return path


@benchmark(
    "fit-relevance",
    help="The probability that a hit answers: how well it holds on sets that were left out.",
    options=Options,
    tables={"fit-relevance": table},
    plot=plot,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Collect the evidence, leave each family of sets out, then fit all and write the models."""
    sets: dict[str, Path] = {name: path for name in MAKERS if (path := getattr(options, name)) is not None}
    made = list(plans(sets))
    progress.expect(sum(len(questions) for plan in made for questions in plan.questions.values()))
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-fit-") as temporary,
        Mnemos(options.root or temporary, timezone="UTC") as memory,
    ):
        asked = [a for plan in made for a in ask(memory, plan, progress)]
        model = f"{memory.embedder.name} {memory.embedder.revision}" if memory.embedder else "none"
    judged = left_out(asked, FEATURES)
    limits = thresholds(judged)
    written = {
        "fitted_on": [*sets, "hands"],
        "fitted_by": "benchmarks/fit/relevance.py",
        "embedder": model,
        "silent": limits["silent"],
        **{
            name: {what: fitted(asked, what, names).plain() for what in ROWS}
            for name, names in (("vectors", FEATURES), ("words", WORD_FEATURES))
        },
    }
    options.write.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    source = {"file": ", ".join(sets), "sha256": checksum(next(iter(sets.values())))}
    by_what = {what: reliability(judged, what) for what in ROWS}
    return {
        "data": source, "embedder": model, "thresholds": limits, "sets": figures(judged, limits), "reliability": by_what,
    }  # fmt: skip
