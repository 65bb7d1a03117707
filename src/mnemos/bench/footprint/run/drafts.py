"""A large model on disk, layer by layer, with a small one in memory that drafts for it: chains, trees, and trees that adapt.

Both read Shakespeare (`shakespeare.LARGE` and `DRAFT`); the large one's layers have room for half of them, so that every pass
loads all (`PagedWeights`). It continues passages that neither was trained on. A chain and a tree of a size have as many nodes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from mnemos.bench.footprint.letters import Letters
from mnemos.bench.footprint.running import Options
from mnemos.bench.footprint.shakespeare import DRAFT, LARGE, trained
from mnemos.bench.parts import Row, seeded
from mnemos.footprint import attached
from mnemos.footprint.generate.base import Generator, Greedy
from mnemos.footprint.generate.token_tree import TokenTree
from mnemos.footprint.weights.paged_weights import PagedWeights

PASSAGES, PROMPT, TOKENS = 5, 48, 60
SHARP = 0.5  # temperature of the small model, chosen among 1, 0.6, 0.4 and 0.25 (between the best two) on text of the training


def ways(draft: Any) -> dict[str, Generator]:
    """Return what is compared, by name."""
    found: dict[str, Generator] = {"greedy": Greedy()}
    for size in (8, 16):
        found[f"chain of {size}"] = TokenTree(draft, size=size, branches=1, threshold=0.0, adapt=False)
        found[f"tree of {size}"] = TokenTree(draft, size=size, threshold=0.0, adapt=False)
        sharp = TokenTree(draft, size=size, threshold=0.0, adapt=False, temperature=SHARP)
        found[f"tree of {size}, sharpened"] = sharp
    return found | {"tree of up to 24, sharpened, adapted": TokenTree(draft, size=24, temperature=SHARP)}


def measure(options: Options) -> dict[str, Row]:
    """Return the rows of the part."""
    text = Letters(options.data)
    models = {seed: (trained(LARGE, text, seed), trained(DRAFT, text, seed)) for seed in range(options.seeds)}

    expected: dict[tuple[int, ...], Tensor] = {}

    def run(name: str, seed: int) -> dict[str, float]:
        large, draft = models[seed]
        passages = text.tests(options.seeds * PASSAGES, PROMPT)[seed * PASSAGES :][:PASSAGES, :PROMPT]
        loads, passes, same, drafted = 0, 0, 0, 0
        for passage in passages:
            key = (seed, *passage.tolist())
            if key not in expected:
                expected[key] = Greedy().generate(large, passage, TOKENS).tokens
            pages = PagedWeights()
            with attached(large, pages):
                loaded = pages.loads
                way = ways(draft)[name]
                got = way.generate(large, passage, TOKENS)
                loads += pages.loads - loaded - len(large.model.layers)  # without the prompt's
            passes += got.passes
            drafted += way.drafted if isinstance(way, TokenTree) else 0
            same += int((got.tokens == expected[key]).sum())
        count = PASSAGES * TOKENS
        return {
            "tokens a pass": count / passes,
            "layer loads a token": loads / count,
            "drafted a token": drafted / count,
            "as greedy %": same / count,
        }

    return {name: seeded(options.seeds, partial(run, name)) for name in ways(None)}
