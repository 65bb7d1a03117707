"""The stability gap: how far an earlier task falls while the next one begins, looked at every few steps.

Digits turned by angles in sequence, 200 steps of 128 each, two hidden layers of 200, SGD at .1 (the protocol of arXiv
2205.13452 on smaller images). "joint" draws from all tasks so far.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mnemos.bench.parametric.learning.lives import Life, Strategies
from mnemos.bench.parametric.learning.methods import lived
from mnemos.bench.parametric.learning.streams import Images, Task, digits, joint, rotated
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.replay import Replay

SIDE, DECAY = 14, 0.98
SIZES = (SIDE**2, 200, 200, 10)
SLOW = SlowCopy(DECAY)
REPLAY, DER = Replay(1000, 128), DarkExperienceReplay(1000, 128, 0.5, 0.5)
ROWS: dict[str, tuple[Strategies, bool]] = {  # strategies, and whether all earlier data is drawn from
    "joint": ((), True),
    "joint, slow copy": (SLOW, True),
    "replay": (REPLAY, False),
    "replay, slow copy": ((REPLAY, SLOW), False),
    "DER++": (DER, False),
    "DER++, slow copy": ((DER, SLOW), False),
    "distillation": (Distillation(), False),
}


def measure(options: Any) -> dict[str, Row]:
    """Return rows for 0, 80 and 160 degrees; and of replay for smaller turns."""
    images = digits(options.data, side=SIDE).fewer(train=1000, test=50)
    found = {}
    for angles in ((0, 80, 160), (0, 40, 80), (0, 20, 40)):
        for name, (strategies, everything) in ROWS.items():
            if angles[1] == 80 or name == "replay":
                row = f"{' '.join(f'{a}°' for a in angles)}: {name}"
                found[row] = seeded(options.seeds, partial(once, images, angles, strategies, everything))
    return found


def once(
    images: Images, angles: tuple[int, ...], strategies: Strategies, everything: bool, seed: int
) -> dict[str, float]:
    """Return accuracy at the end, how far it fell on the way, and the figures of continual evaluation."""
    tasks = rotated(images, angles)
    if everything:
        tasks = [Task(joint(tasks[: i + 1]).train, t.test) for i, t in enumerate(tasks)]
    found = lived(tasks, strategies, SIZES, 0.1, seed, Life(batch=128, steps=200, every=5)).figures()
    return {
        "accuracy %": found["accuracy"],
        "dip %": found["gap"],
        "min-ACC %": found["lowest"],
        "WC-ACC %": found["worst_case"],
        "largest fall in 50 steps %": found["windowed_forgetting"],
    }
