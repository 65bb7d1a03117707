"""Which model families which cache methods hold on: `mnemos bench kv-models`.

Tiny decoders of random weights, one a family, read two texts in four calls. The logits are compared with those of
transformers' own cache in the same type: equal up to rounding where everything is held as it is (the cache without a
method; a method whose budget holds everything), near where a method rounds or merges on purpose. What is neither has to
be refused with a reason: a wrong answer, or any other error, makes the benchmark fail.

- the cache without a method: in float32, bfloat16 and float16, on a model that was set to sdpa, eager or flex
  attention, without padding, padded on the left, and with a first prompt padded on the right;
- every preset: with a budget for everything and for a quarter, in float32 with each padding, in the others without;
- what is done with a cache: turns of `generate`, beams, assisted decoding by drafts from the prompt, going back,
  reading in chunks, and static caches beside ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mnemos.bench.kv.family_cells import Cell, Options
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

SIGNS = {"exact": "=", "near": "≈", "holds": "✓", "refused": "–", "wrong": "**wrong**", "failed": "**failed**"}
BAD = ("wrong", "failed")


def cells(result: Result) -> Iterator[tuple[str, Cell]]:
    """Yield every cell with the words that name it."""

    def walk(name: str, found: Any) -> Iterator[tuple[str, Cell]]:
        if "outcome" in found:
            yield name, found
        else:
            for key, value in found.items():
                yield from walk(f"{name}, {key}" if name else key, value)

    yield from walk("", result["families"])


def problem(result: Result) -> str | None:
    """Return the wrong answers and errors that were found, if any."""
    bad = [
        f"{name}: {c['outcome']} {c.get('error', '')} {c.get('why', '')}"
        for name, c in cells(result)
        if c["outcome"] in BAD
    ]
    return f"{len(bad)} silent or raw errors, such as {'; '.join(bad[:5])}" if bad else None


def sign(found: list[Cell]) -> str:
    """Return the sign of several cells: that of the worst answer; refusals count where all are refused."""
    outcomes = {cell["outcome"] for cell in found}
    for outcome in ("failed", "wrong", "holds", "near", "exact"):
        if outcome in outcomes:
            return SIGNS[outcome] + (" (–)" if "refused" in outcomes else "")
    return SIGNS["refused"]


def by_family(result: Result) -> Rows:
    """Return the table of the cache without a method, and of what is done with it."""
    first = next(iter(result["families"].values()))
    columns = [*first["cache"], *first["uses"]]
    lines: Rows = [["family", *columns]]
    for name, found in result["families"].items():
        types = [[c for by in found["cache"][dtype].values() for c in by.values()] for dtype in first["cache"]]
        lines.append([name, *(sign(group) for group in types), *(sign([found["uses"][use]]) for use in first["uses"])])
    return lines


def by_method(result: Result) -> Rows:
    """Return the table of presets by family: with a budget for everything, and (behind the stroke) with a quarter."""
    families = {name: found for name, found in result["families"].items() if found["methods"]}
    lines: Rows = [["method", *families]]
    methods = next(iter(families.values()))["methods"]
    for method in methods:
        row = [method]
        for found in families.values():
            runs = [run for by in found["methods"][method].values() for run in by.values()]
            row.append(f"{sign([run['all'] for run in runs])} / {sign([run['quarter'] for run in runs])}")
        lines.append(row)
    return lines


def refusals(result: Result) -> Rows:
    """Return the table of reasons, with the families that they were given for."""
    known: dict[str, dict[str, None]] = {}
    for name, found in cells(result):
        if found["outcome"] == "refused":
            known.setdefault(found["why"], {})[name.split(", ")[0]] = None
    return [["reason", "families"], *([why, ", ".join(families)] for why, families in known.items())]


@benchmark(
    "kv-models",
    help="Which model families which cache methods hold on, are exact on, or refuse.",
    options=Options,
    tables={"kv-models-families": by_family, "kv-models-methods": by_method, "kv-models-refusals": refusals},
    problem=problem,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Combine families, methods, types, attention functions and paddings.

    Raises NotFound for an unknown preset and InvalidInput for an unknown family.
    """
    import torch

    from mnemos.bench.kv.family_runs import measure
    from mnemos.bench.kv.threads import one_thread

    with one_thread(), torch.no_grad():
        return {"families": measure(options, progress)}
