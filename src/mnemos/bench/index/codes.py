"""Codes of vectors: `mnemos bench codes`. Their bytes, the share of the nearest that they find, and what learning adds.

The vectors are those of the bundled embedder, of LoCoMo, BEAM and QMSum; queries are questions. Codes that learn a ranking
get the questions of the development halves (conv-26, 30, 41, 42, 43 of LoCoMo, chats 1-10 of BEAM); all are asked the others.
Exact search is the measure: a code's candidates are read in full, so that what they hold of the ten nearest is found.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.index.real import SETS, Data, Real, real
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.index.base import Floats
from mnemos.index.codes.base import Code, Coder
from mnemos.index.codes.bpr import BPR
from mnemos.index.codes.itq import ITQ
from mnemos.index.codes.jpq import JPQ
from mnemos.index.codes.product import PQ
from mnemos.index.codes.scalar import Scalar
from mnemos.index.codes.sign_pca import SignPCA
from mnemos.index.codes.sign_random import SignRandom
from mnemos.registry import Entry

DEPTHS = (10, 20, 50, 100, 200)  # candidates that are read in full
K, FULL = 10, 4  # neighbours that count; bytes of a number that is not coded
Share = Mapping[str, float]


@dataclass(frozen=True)
class Options(Data):
    """How many questions, and the sizes of the codes."""

    bytes: tuple[int, ...] = (48,)  # bytes a vector: 48 of 384 numbers are 1/32
    queries: int = 300  # questions that are asked
    seed: int = 0  # of codes and choices


def methods(size: int, seed: int) -> dict[str, Code]:
    """Return the codes of a size, by name."""
    return {
        "sign-pca": SignPCA(size), "sign-random": SignRandom(size, seed), "itq": ITQ(size, seed=seed),
        "bpr": BPR(size, seed=seed), "pq": PQ(size, seed=seed), "jpq": JPQ(size, seed=seed),
    }  # fmt: skip


def nearest(texts: Floats, queries: Floats) -> NDArray[np.int64]:
    """Return the places of the ten nearest texts of each query, (Q, 10)."""
    return np.argpartition(-(queries @ texts.T), K, axis=1)[:, :K]


def shares(
    coder: Coder, texts: Floats, queries: Floats, truth: NDArray[np.int64], seconds: list[float] | None = None
) -> dict[str, float]:
    """Return the share of the ten nearest texts that are among the first candidates, by their number."""
    codes = coder.encode(texts)
    found = dict.fromkeys(map(str, DEPTHS), 0)
    for query, right in zip(queries, truth, strict=True):
        start = time.perf_counter()
        order = np.argsort(-coder.scores(codes, query), kind="stable")[: DEPTHS[-1]]
        if seconds is not None:
            seconds.append(time.perf_counter() - start)
        for depth in DEPTHS:
            found[str(depth)] += int(np.isin(right, order[:depth]).sum())
    return {depth: round(count / K / len(queries), 4) for depth, count in found.items()}


def table(result: Result) -> Rows:
    """Return the shares of each code."""
    lines: Rows = [["code", "bytes", "of float32", *(f"in {d} read" for d in DEPTHS), "fitted in, processor s"]]
    for row in result["codes"]:
        part = f"1/{result['dimension'] * FULL // row['bytes']}"
        lines.append(
            [row["code"], row["bytes"], part, *(f"{v:.3f}" for v in row["shares"].values()), f"{row['seconds']:.1f}"]
        )
    return lines


def shift_table(result: Result) -> Rows:
    """Return what codes of one domain find in another."""
    lines: Rows = [[f"codes of {result['shift']['bytes']} bytes", *(f"in {d} read" for d in DEPTHS)]]
    return [*lines, *([name, *(f"{v:.3f}" for v in row.values())] for name, row in result["shift"]["shares"].items())]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return the share that a code finds among the first 100, beside that of the others at as many bytes."""
    if entry.form != "index":
        return None
    rows = [row for row in result["codes"] if row["code"] == entry.name]
    if entry.name == "coded":
        rows = [row for row in result["codes"] if row["code"] == "bpr"]
    if not rows:
        return None
    same = {r["code"]: f"{r['shares']['100']:.3f}" for r in result["codes"] if r["bytes"] == rows[0]["bytes"]}
    code = " with `bpr`" if entry.name == "coded" else ""
    share, size = rows[0]["shares"]["100"], rows[0]["bytes"]
    text = f"finds{code} {share:.3f} of the ten nearest among 100 candidates by {size} bytes a vector"
    return Figure(text, {name: same[name] for name in entry.baselines if name in same})


@benchmark(
    "codes",
    help="Codes of vectors: bytes, the share of the nearest that they find, and what learning adds.",
    options=Options,
    tables={"codes": table, "codes-shift": shift_table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return what each code finds at each size, and what codes of LoCoMo and BEAM find in QMSum's meetings."""
    found = real(options, progress)
    report = np.flatnonzero(~found.development)
    asked = found.questions[np.random.default_rng(options.seed).permutation(report)[: options.queries]]
    learned = found.questions[found.development]
    every = [(name, size, code) for size in options.bytes for name, code in methods(size, options.seed).items()]
    progress.expect(len(every) + 6)
    rows, truth = [], nearest(found.texts, asked)
    for name, size, code in [*every, ("scalar", found.texts.shape[1], Scalar())]:
        start, seconds = time.process_time(), list[float]()
        coder = code.fit(found.texts, learned)
        fitted = time.process_time() - start
        share = shares(coder, found.texts, asked, truth, seconds)
        scan = round(float(np.median(seconds)) * 1e3, 2)
        rows.append({"code": name, "bytes": size, "shares": share, "seconds": round(fitted, 2), "scan_ms": scan})
        progress(1)
    shift = shifted(found, options.bytes[0], options.queries, options.seed, progress)
    about = {"seed": options.seed, "texts": len(found.texts), "dimension": found.texts.shape[1]}
    return about | {"queries": len(asked), "learned_from": len(learned), "codes": rows, "shift": shift}


def shifted(found: Real, size: int, count: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Return what codes find in QMSum: fitted on LoCoMo and BEAM, adapted by texts of QMSum, and fitted on QMSum."""
    other = list(SETS).index("qmsum")
    home, away = found.texts[found.text_sets != other], found.texts[found.text_sets == other]
    learned = found.questions[found.development & (found.question_sets != other)]
    asked = found.questions[found.question_sets == other][:count]
    results: dict[str, Share] = {}
    truth = nearest(away, asked)
    for name, code in (("bpr", BPR(size, seed=seed)), ("jpq", JPQ(size, seed=seed))):
        naive = code.fit(home, learned)
        made: Sequence[tuple[str, Coder]] = (
            (f"{name} of LoCoMo and BEAM", naive),
            (f"{name} adapted by generated queries", adapted(name, naive, size, seed, away)),
            (f"{name} of the meetings alone", code.fit(away)),
        )
        for label, coder in made:
            results[label] = shares(coder, away, asked, truth)
            progress(1)
    return {"texts": len(away), "queries": len(asked), "bytes": size, "shares": results}


def adapted(name: str, coder: Any, size: int, seed: int, vectors: Floats) -> Coder:
    """Return a coder trained further on the vectors of another domain, without its questions."""
    return BPR(size, seed=seed).adapt(coder, vectors) if name == "bpr" else JPQ(size, seed=seed).adapt(coder, vectors)
