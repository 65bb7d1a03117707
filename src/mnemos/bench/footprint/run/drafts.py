"""A large model on disk, layer by layer, with a small one in memory that drafts for it: chains, trees, and trees that adapt.

Both read Shakespeare (`shakespeare.LARGE` and `DRAFT`); the large one's layers have room for half of them, so that every pass
loads all (`PagedWeights`). It continues passages that neither was trained on. A chain and a tree of a size have as many nodes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mnemos.bench.footprint.letters import Letters
from mnemos.bench.footprint.running import Options
from mnemos.bench.footprint.shakespeare import DRAFT, LARGE, trained
from mnemos.bench.parts import Row, seeded
from mnemos.footprint import attached
from mnemos.footprint.generate.base import Generator, Greedy
from mnemos.footprint.generate.token_tree import TokenTree
from mnemos.footprint.weights.paged_weights import PagedWeights

PASSAGES, PROMPT, TOKENS = 2, 48, 60


def ways(draft: Any) -> dict[str, Generator]:
    """Return what is compared, by name."""
    found: dict[str, Generator] = {"greedy": Greedy()}
    for size in (8, 16):
        found[f"chain of {size}"] = TokenTree(draft, size=size, branches=1, threshold=0.0, adapt=False)
        found[f"tree of {size}"] = TokenTree(draft, size=size, threshold=0.0, adapt=False)
    return found | {"tree of up to 24, adapted": TokenTree(draft, size=24)}


def measure(options: Options) -> dict[str, Row]:
    """Return the rows of the part."""
    text = Letters(options.data)
    models = {seed: (trained(LARGE, text, seed), trained(DRAFT, text, seed)) for seed in range(options.seeds)}

    def run(name: str, seed: int) -> dict[str, float]:
        large, draft = models[seed]
        passages = text.tests(options.seeds * PASSAGES, PROMPT)[seed * PASSAGES :][:PASSAGES, :PROMPT]
        loads, passes, same = 0, 0, 0
        for passage in passages:
            expected = Greedy().generate(large, passage, TOKENS)
            pages = PagedWeights()
            with attached(large, pages):
                loaded = pages.loads
                got = ways(draft)[name].generate(large, passage, TOKENS)
                loads += pages.loads - loaded - len(large.model.layers)  # without the prompt's
            passes += got.passes
            same += int((got.tokens == expected.tokens).sum())
        count = PASSAGES * TOKENS
        return {"tokens a pass": count / passes, "layer loads a token": loads / count, "as greedy %": same / count}

    return {name: seeded(options.seeds, partial(run, name)) for name in ways(None)}
