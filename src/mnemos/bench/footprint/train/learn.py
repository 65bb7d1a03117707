"""`space.learn` on SmolLM2 (135 million weights): what it takes by how many rows of a step are in memory at once.

Eight memories are learned by an adapter in eight steps of 16 examples and 32 probes, with the measures of the gate before and
after, on one thread, each row in a process of its own. Memory is that of the whole process at its peak, weights (in
float32) and libraries included.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mnemos.activation.pretrained import load_decoder, load_tokenizer
from mnemos.bench.footprint.fresh import fresh
from mnemos.bench.parts import Row
from mnemos.footprint.measure import resident, taken
from mnemos.migrate.learning import Learning
from mnemos.parametric.training import Training
from mnemos.system import Mnemos

STEPS, AT_ONCE = 8, (4, 2, 1)
PEOPLE = (
    ("Ana", "Porto", "baker"), ("Ivo", "Split", "pilot"), ("Mira", "Graz", "nurse"), ("Tom", "Cork", "cook"),
    ("Lea", "Bern", "judge"), ("Bo", "Umea", "smith"), ("Kai", "Kiel", "sailor"), ("Zoe", "Nice", "dancer"),
)  # fmt: skip


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each number of rows."""
    return {f"rows at once: {rows}": fresh(learned, rows) for rows in AT_ONCE}


def learned(rows: int) -> Row:
    """Return what a learning takes."""
    with TemporaryDirectory() as folder, Mnemos(Path(folder)) as mnemos:
        space = mnemos.space("bench")
        cubes = [space.add(f"{name} lives in {town} and works as a {job}.") for name, town, job in PEOPLE]
        model, tokenizer = load_decoder("smollm2"), load_tokenizer("smollm2")
        before = resident()
        how = Learning(training=Training(steps=STEPS, at_once=rows))
        took = taken(lambda: space.learn(cubes, model, tokenizer, how=how))
        peak = resident(peak=True)
    return {
        "peak MB": round(peak / 1e6),
        "with the model loaded MB": round(before / 1e6),
        "processor s": round(took.cpu, 1),
    }
