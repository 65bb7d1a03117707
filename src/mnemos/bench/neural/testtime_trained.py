"""The parts of `mnemos bench testtime` that train networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemos.bench.neural.pair_models import rows
from mnemos.bench.neural.pairs import Pairs
from mnemos.bench.neural.testtime import Options
from mnemos.bench.progress import Progress
from mnemos.neural.model import Layer

SMALL = {"key": 8, "value": 8}
SEEN = 8  # inputs that attention sees
WINDOW: Layer = ("attention", {"window": SEEN, "persistent": 4})
LINEAR: Layer = ("linear-attention", {"key": 16, "value": 16})
FAST: Layer = ("linear-attention", SMALL)


RATES = (0.01, 0.02)  # of AdamW, where a rate is chosen for each member
EQUAL_STEPS = 300  # of training, there
ALONE = {"key": 16, "value": 30, "chunk": 1, "memory": "matrix", "rate": 3.0}  # as the others of `equal`


def hybrid(wiring: str, memory: str = "titans", **options: float) -> Sequence[Layer]:
    """Return a layer with the window."""
    size = {"key": 8, "value": 8} if memory == "titans" else {"key": 5, "value": 8}
    return [("titans-hybrid", {"wiring": wiring, "window": SEEN, "memory": memory, **size, **options})]


def equal() -> dict[str, Sequence[Layer]]:
    """Return layers that hold about 960 numbers: a window of four tokens and a memory, or a memory alone.

    A memory of Titans is a matrix, and its momentum another one. Its longest step, 3, is the best of 1, 2, 3 and 4 on
    a seed that is not reported.
    """
    window: Layer = ("attention", {"window": 4, "persistent": 4})
    step = {"window": 4, "chunk": 1, "deep": False, "rate": 3.0}
    return {
        "window": [window],
        "linear-attention": [("linear-attention", {"key": 30, "value": 31})],
        "window and linear-attention": [window, ("linear-attention", {"key": 26, "value": 28})],
        "Titans, MAG": [("titans-hybrid", {"wiring": "mag", "key": 16, "value": 24, **step})],
        "Titans, MAC": [("titans-hybrid", {"wiring": "mac", "key": 16, "value": 16, **step})],
        "Titans": [("titans", ALONE)],
    }


MEMBERS: dict[str, dict[str, Sequence[Layer]]] = {
    "window": {
        "window": [WINDOW],
        "linear-attention": [LINEAR],
        "window and linear-attention": [WINDOW, LINEAR],
        "Titans, MAC": hybrid("mac"),
        "Titans, MAG": hybrid("mag"),
        "Titans, MAL": hybrid("mal"),
        "Titans, MAG, longer steps": hybrid(
            "mag", rate=0.3
        ),  # of 0.1, 0.3, 1, 3 and 10, on seeds that are not reported
        "Atlas, MAG": hybrid("mag", "atlas"),
    },
    "equal": equal(),
    "changing": equal()
    | {
        "Titans, no momentum": [("titans", ALONE | {"momentum": False})],
        "Titans, no forgetting": [("titans", ALONE | {"forget": False})],
    },
    "ablations": {
        "Titans": [("titans", {**SMALL, "chunk": 4})],
        "without momentum": [("titans", {**SMALL, "chunk": 4, "momentum": False})],
        "without forgetting": [("titans", {**SMALL, "chunk": 4, "forget": False})],
    },
    "recall": {
        "linear-attention": [FAST],
        "gated-linear-attention": [("gated-linear-attention", SMALL)],
        "delta-net": [("delta-net", SMALL)],
        "miras": [("miras", {**SMALL, "chunk": 4})],
        "ttt": [("ttt", {**SMALL, "chunk": 4})],
        "titans": [("titans", {**SMALL, "chunk": 4})],
        "atlas": [("atlas", {"key": 4, "value": 8, "chunk": 4})],
        "moneta": [("moneta", {**SMALL, "chunk": 4})],
        "yaad": [("yaad", {**SMALL, "chunk": 4})],
        "memora": [("memora", {**SMALL, "chunk": 4})],
        "lattice": [("lattice", SMALL)],
    },
}
TASKS = {
    "window": Pairs(8, SEEN, 8, 8),
    "equal": Pairs(8, 8, 16, 16),
    "changing": Pairs(8, 8, 16, 16, changed=6),
    "ablations": Pairs(6, 0, 8, 8, changed=4),
    "recall": Pairs(8, 0, 8, 8),
}


def measure(part: str, options: Options, progress: Progress) -> dict[str, Any]:
    """Return the rows of a part."""
    members, task = MEMBERS[part], TASKS[part]
    chosen = part in ("equal", "changing")
    steps, rates = (EQUAL_STEPS, RATES) if chosen else (options.steps, [options.rate])
    progress.expect(len(members) * (options.seeds + len(rates) * chosen))
    return rows(members, task, steps, rates, options.seeds, options.cache, progress)
