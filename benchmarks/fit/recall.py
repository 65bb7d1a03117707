"""Fit the fusion of recall across sets, and say what it does on sets that took no part.

    python -m benchmarks fit-recall --locomo locomo10.json --beam beam_100k --realmem realmem --lifebench lifebench \\
        --locomo-plus locomo_plus_even.json --factconsolidation single_hop.json --qmsum val.jsonl --xquad xquad

Every set counts alike, whatever its size, and is seen in several shapes (see `recall_sets`); only development halves are
read. The result has each set and language scored with a model that was fitted without it and without its other languages
and shapes, beside words alone and vectors alone; `--write` also writes the four models of `weights.json`. A question has
some 150 candidates: the best by several signals, all gold, and a few at random. The fit is repeated: what comes first in
the full rankings of the rounds before are candidates too, since a model finds mistakes of its own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit.mixture import Example, Mixture, batch
from benchmarks.fit.recall_sets import LOADERS, VARIANTS, Asked, ask, sets
from mnemos import Mnemos
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.task import checksum
from mnemos.errors import InvalidInput
from mnemos.text.recall.cues import CUES, VECTOR_CUES
from mnemos.text.recall.fusion import Model, fuse, to_model
from mnemos.text.recall.sessions import SESSION_SIGNALS, session_signals
from mnemos.text.recall.signals import EITHER_WAY, SIGNALS, VECTOR_SIGNALS, Read

OUT = Path("src/mnemos/text/recall/weights.json")
MEASURES = ("recall@10", "hit@1")
STEPS, MOST = 400, 110
FREE = 7  # experts besides plain words and plain cosines
ROUNDS = 3
BEST, RANDOM = 60, 30  # candidates of each signal, and at random
WEIGHTS = {"locomo-plus": 1.3, "locomo": 0.7, "lifebench": 0.6, "xquad": 0.5}  # by family; 1 for another one
OF_VARIANT = 0.3
KINDS = {"": frozenset[str](), "_words": VECTOR_SIGNALS | VECTOR_CUES}  # ending of a model's name: what it lacks


@dataclass(frozen=True)
class Options:
    """The sets, each optional, and where to keep and write."""

    locomo: Path | None = None  # locomo10.json
    beam: Path | None = None  # the folder of BEAM chats
    realmem: Path | None = None  # the folder of RealMem
    lifebench: Path | None = None  # the folder with en/ and zh/
    locomo_plus: Path | None = None  # the even rows of LoCoMo-Plus
    factconsolidation: Path | None = None  # single_hop.json
    qmsum: Path | None = None  # val.jsonl
    xquad: Path | None = None  # the folder with xquad.en.json
    root: Path | None = None  # keep the spaces here, so that another run embeds nothing
    write: Path | None = None  # where to write the models; none: they are only measured


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of one question by position in its corpus, with and without vectors."""

    set: str
    positions: NDArray[np.int64]
    tables: dict[str, NDArray[np.float32]]  # by ending of a model's name
    cues: dict[str, NDArray[np.float64]]
    gold: NDArray[np.bool_]
    hard: NDArray[np.bool_]  # the best of full rankings
    wanted: int
    any_of: bool

    def example(self, kind: str, weight: float = 1.0) -> Example:
        """Return it as one example of a fit."""
        return Example(self.tables[kind], self.gold, self.cues[kind], weight, self.any_of, self.hard)


def family(name: str) -> str:
    """Return what is left out together: a set with its shapes; of XQuAD and LifeBench each language, both ways."""
    base = name.split("~")[-1]
    return base.removesuffix("-en") if base.startswith("xquad") and base != "xquad-en" else base


def candidates(asked: Asked, rng: np.random.Generator, earlier: Sequence[Mapping[str, Model]] = ()) -> Candidates:
    """Return the candidates of a question, the first of the rankings by `earlier` models among them."""
    found, shown = asked.read.signals, asked.shown
    mixed = found["words"] + found["coverage_around"] + found["session_best_bm25"] + 2 * found["cosine"]
    chosen = set(asked.gold) | set(rng.choice(np.flatnonzero(shown), RANDOM).tolist())
    for values in (found["words"], found["cosine"], found["bm25_around"], found["words"] + found["moment_bm25"], mixed):
        chosen |= _first(values, shown)
    reads = {"": asked.read, "_words": asked.words_only}
    hard: set[int] = set()
    for models in earlier:
        for kind, told in reads.items():
            hard |= _first(fuse(told.signals, models[kind].weights(told.cues)), shown)
    at = np.array(sorted(i for i in chosen | hard if shown[i]))
    return Candidates(
        asked.set,
        at,
        {kind: table(told, names(SIGNALS, kind), at) for kind, told in reads.items()},
        {kind: np.array([told.cues[name] for name in names(CUES, kind)]) for kind, told in reads.items()},
        np.isin(at, asked.gold),
        np.isin(at, sorted(hard)),
        asked.wanted,
        bool(asked.sessions) and asked.set.endswith("realmem"),
    )


def _first(values: NDArray[np.floating], shown: NDArray[np.bool_]) -> set[int]:
    return set(np.argsort(-np.where(shown, values, -np.inf), kind="stable")[:BEST].tolist())


def names(of: Sequence[str], kind: str) -> list[str]:
    """Return the names of signals or cues that a kind of model has."""
    return [name for name in of if name not in KINDS[kind]]


def table(told: Read, signals: Sequence[str], at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the signals at some positions, (N, S); 0 where one does not apply."""
    none = np.zeros(len(at), dtype=np.float32)
    return np.stack([told.signals[s][at] if s in told.signals else none for s in signals], axis=1).astype(np.float32)


def examples(questions: Sequence[Candidates], kind: str) -> list[Example]:
    """Return the questions as examples, each set with its weight."""
    count: dict[str, int] = {}
    for q in questions:
        count[q.set] = count.get(q.set, 0) + 1
    found = []
    for q in questions:
        base = q.set.split("~")[-1]
        weight = OF_VARIANT if "~" in q.set else WEIGHTS.get(base, WEIGHTS.get(base.split("-")[0], 1.0))
        if not q.gold.all():
            found.append(q.example(kind, weight / count[q.set]))
    return found


def fit(questions: Sequence[Candidates], kind: str, start: Mixture | None = None) -> Mixture:
    """Return a mixture fitted to the questions."""
    alone = ("words",) if kind else ("words", "cosine")
    mixture = Mixture(names(SIGNALS, kind), names(CUES, kind), EITHER_WAY, alone, FREE)
    return mixture.fit(batch(examples(questions, kind), MOST), STEPS, None if start is None else start.solution)


def figures(q: Candidates, scores: NDArray[np.floating]) -> tuple[float, float]:
    """Return recall@10 and hit@1 of a ranking; what has no score is no hit, and the newest comes first among equals."""
    order = np.lexsort((-q.positions, -scores))
    order = order[scores[order] != 0]
    first = q.gold[order[:10]]
    if q.any_of:
        return float(first.any()), float(first[:1].any())
    return float(first.sum()) / q.wanted, float(first[:1].any())


def left_out(questions: Sequence[Candidates], full: Mixture) -> dict[str, Any]:
    """Return for each set the figures of words, vectors, the model, and one fitted without the set's family."""
    rows: dict[str, Any] = {}
    for group in sorted({family(q.set) for q in questions}):
        kept = [q for q in questions if family(q.set) != group and not _other_language(q.set, group)]
        other = fit(kept, "", full)
        for name in sorted({q.set for q in questions if family(q.set) == group and "~" not in q.set}):
            own = [q for q in questions if q.set == name]
            words, cosine = SIGNALS.index("words"), SIGNALS.index("cosine")
            row = {
                "words": [figures(q, q.tables[""][:, words]) for q in own],
                "vectors": [figures(q, q.tables[""][:, cosine]) for q in own],
                "left_out": [figures(q, other.scores(q.example(""))) for q in own],
                "fused": [figures(q, full.scores(q.example(""))) for q in own],
            }
            means = {part: np.round(np.mean(values, axis=0), 4).tolist() for part, values in row.items()}
            rows[name] = {"n": len(own)} | {
                part: {"recall@10": recall, "hit@1": first} for part, (recall, first) in means.items()
            }
    return rows


def _other_language(name: str, group: str) -> bool:
    return group.startswith("lifebench") and "lifebench" in name


def of_sessions(memory: Mnemos, tasks: Mapping[str, Any], models: Mapping[str, Model]) -> dict[str, Any]:
    """Return the models of sessions, fitted to the cubes' scores by the models of cubes."""
    found = list(_session_examples(memory, tasks, models))
    fitted: dict[str, Any] = {}
    for kind in KINDS:
        mixture = Mixture(names(SESSION_SIGNALS, kind), names(CUES, kind), (), (), free=2)
        fitted[f"sessions{kind}"] = mixture.fit(batch([e for k, e in found if k == kind], MOST), STEPS).to_json()
    return fitted


def _session_examples(
    memory: Mnemos, tasks: Mapping[str, Any], models: Mapping[str, Model]
) -> Iterator[tuple[str, Example]]:
    """Yield (ending, example) with sessions as candidates, from the cubes' scores by the fitted models."""
    for name in ("locomo", "realmem"):
        for asked in ask(name, tasks[name], memory) if name in tasks else ():
            for kind, told in (("", asked.read), ("_words", asked.words_only)):
                scores = fuse(told.signals, models["cubes" + kind].weights(told.cues))
                scores = np.where(asked.shown, scores, np.float32(-np.inf))
                values, best = session_signals(asked.corpus, scores, told.signals)
                there = np.isfinite(values["best"])
                at = [asked.corpus.session_names[i] for i in asked.corpus.layout().session[best[there]]]
                gold = np.array([session in asked.sessions for session in at])
                if gold.any() and not gold.all():
                    rows = np.stack([values[s][there] for s in names(SESSION_SIGNALS, kind)], axis=1)
                    cues = np.array([told.cues[c] for c in names(CUES, kind)])
                    yield kind, Example(rows.astype(np.float32), gold, cues)


def table_of_sets(result: Result) -> Rows:
    """Return the figures of each set and language, and of a model that was fitted without its family."""
    lines: Rows = [["set", "n", "words", "vectors", "fitted with it", "fitted without it", "ahead of the better part"]]
    for name, row in result["sets"].items():
        parts = [row[part] for part in ("words", "vectors", "fused", "left_out")]
        ahead = [row["left_out"][m] - max(row["words"][m], row["vectors"][m]) for m in MEASURES]
        cells = [" / ".join(f"{part[m]:.3f}" for m in MEASURES) for part in parts]
        lines.append([name, row["n"], *cells, " / ".join(f"{gain:+.3f}" for gain in ahead)])
    return lines


@benchmark(
    "fit-recall",
    help="The fusion of recall: what it does on sets that were left out of its fit.",
    options=Options,
    tables={"fit-recall": table_of_sets},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Fit the four models, write them where that is wanted, and leave each family of sets out."""
    paths = {name: path for name in LOADERS if (path := getattr(options, name.replace("-", "_"))) is not None}
    if not paths:
        raise InvalidInput("no set is given. Name at least one, as --locomo locomo10.json.")
    rng = np.random.default_rng(0)
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-fit-") as temporary,
        Mnemos(options.root or temporary, timezone="UTC") as memory,
    ):
        tasks = sets(paths)
        progress.expect(len(tasks) * ROUNDS)
        earlier: list[dict[str, Model]] = []
        for _ in range(ROUNDS):
            questions: list[Candidates] = []
            for name, task in tasks.items():
                for variant in ("", *VARIANTS.get(name, ())):
                    questions += [candidates(asked, rng, earlier) for asked in ask(name, task, memory, variant)]
                progress(1)
            mixtures = {kind: fit([q for q in questions if not _needs_vectors(q.set, kind)], kind) for kind in KINDS}
            earlier.append({kind: to_model(mixture.to_json()) for kind, mixture in mixtures.items()})
        embedder = f"{memory.embedder.name} {memory.embedder.revision}" if memory.embedder else "none"
        if options.write is not None:
            models = {f"cubes{kind}": mixture.to_json() for kind, mixture in mixtures.items()}
            models |= of_sessions(memory, tasks, {name: to_model(data) for name, data in models.items()})
            written = {
                "fitted_on": f"the development halves of {', '.join(paths)}, each in the shapes of benchmarks/fit/recall_sets.py",
                "fitted_by": "benchmarks/fit/recall.py",
                "embedder": embedder,
                "models": models,
            }
            options.write.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    source = {"file": ", ".join(paths), "sha256": checksum(next(iter(paths.values())))}
    return {"data": source, "embedder": embedder, "sets": left_out(questions, mixtures[""])}


def _needs_vectors(name: str, kind: str) -> bool:
    return kind != "" and name.startswith(("noise~", "mute~"))
