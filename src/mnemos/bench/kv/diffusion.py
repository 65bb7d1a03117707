"""Caches for masked-diffusion decoding: Fast-dLLM, dKV-Cache, Sparse-dLLM: `mnemos bench kv-diffusion`.

The model of `masked_lm` completes texts under each policy. Reported of each, against the same schedule without a cache:

- accuracy: the share of groups that are right; agreement: the share of tokens that are the same;
- recomputed: positions put through the model, by text; attended: pairs of a query and an entry, by text and layer;
- steps by text, and the most bytes that the cache held, by text.

Beside them the ablations that the papers rest on: the delay of dKV-Cache against none at no lower cost, Sparse-dLLM's
choice against a random one and the nearest, and with and without its delay, a threshold of probability against a
number of tokens at as many steps, and how alike keys and values are from one step to the next. The wall clock is
measured on an untrained model of more width over a longer prompt, since time does not depend on the text and a small
model spends all of its time on overhead.

Not confirmed on this model: caches that are refreshed once a block agree with cache-free decoding on more than 95 % of
the tokens (dKV-Cache-PD on fewer), but lose several points of the groups, not one, as a token that differs spoils a
group of eight. Sparse-dLLM with the paper's scores, before the softmax, loses half of the answers at a keep of 0.5, so
that weights are the default here, though at 0.25 both lose most; its delay is worth a few points, and costs a whole
step a block. dKV-Cache-Greedy refreshed every second step loses next to nothing, and is the slowest. A threshold takes
more steps than two tokens a step and fewer than one, so the two cannot be compared at exactly the same number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry

TEST_SEED = 2026


@dataclass(frozen=True)
class Options:
    """How many texts."""

    contexts: int = 200  # texts to complete
    seed: int = 0  # seed of the training of the model


def table(result: Result) -> Rows:
    """Return the caches for masked-diffusion decoding."""
    shown = {"accuracy": "answers right", "agreement": "tokens as without a cache", "recomputed": "positions computed"}
    policies = result["policies"]
    lines: Rows = [["cache", *shown.values(), "times faster, larger model"]]
    for name, row in policies.items():
        cells = [f"{row[key]:.3g}" if row[key] <= 1 else f"{row[key]:.0f}" for key in shown]
        wall = result["wall"].get(name)
        lines.append([name, *cells, "–" if wall is None else f"{wall['speedup']:.1f}"])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a cache answers, and how many positions it computes."""
    rows = {name.partition(",")[0]: row for name, row in reversed(result["policies"].items())}
    if entry.form != "activation" or entry.name not in rows:
        return None
    row, none = rows[entry.name], result["policies"]["none"]
    computed = percent(row["recomputed"] / none["recomputed"], 0)
    text = f"answers {percent(row['accuracy'], 0)} and computes {computed} of the positions"
    return Figure(text, {"no cache": percent(none["accuracy"], 0)})


@benchmark(
    "kv-diffusion",
    help="Caches for masked-diffusion decoding: agreement, positions computed again, ablations.",
    options=Options,
    tables={"kv-diffusion": table},
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train the model or find it, and measure all of the above on texts of another seed."""
    from mnemos.bench.kv.diffusion_policies import likeness, measure, wall
    from mnemos.bench.kv.masked_lm import TinyMaskedLM, texts, train_masked_lm
    from mnemos.bench.kv.threads import one_thread

    seed, contexts = options.seed, options.contexts
    trained = train_masked_lm(TinyMaskedLM(), seed)
    prompts, _ = texts(contexts, TEST_SEED)
    progress.expect(3)
    with one_thread():
        found = measure(trained.model, prompts)
        progress(1)
        found["likeness"] = likeness(trained.model, prompts)
        progress(1)
        found["wall"] = wall(seed)
        progress(1)
    return {"seed": seed, "test_seed": TEST_SEED, "contexts": contexts, "model": trained.record, **found}
