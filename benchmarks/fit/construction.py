"""Fit which store a text goes into (`mnemos.text.compress.construction`).

    python -m benchmarks.fit.construction

The mean of the weights that the policy gradient finds on generated development streams with ten seeds, other ones than
those of `mnemos bench construction`; with the reward and the wordings for development of that benchmark. Takes a minute.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mnemos.bench.text.construction import train
from mnemos.text.compress.construction import FEATURES, STORES

OUT = Path("src/mnemos/text/compress/construction.json")
SEEDS = range(50, 60)


def main() -> None:
    """Train, print and write the weights."""
    weights = np.mean([train(seed, 300, 80).weights for seed in SEEDS], axis=0).round(3)
    for store, row in zip(STORES, weights.tolist(), strict=True):
        print(store, dict(zip(FEATURES, row, strict=True)))
    OUT.write_text(json.dumps({"stores": STORES, "features": FEATURES, "weights": weights.tolist()}) + "\n")


if __name__ == "__main__":
    main()
