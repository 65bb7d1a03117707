"""Caches that choose for a question or fetch in time: `mnemos bench kv-fetch`.

Four methods without a preset in `mnemos bench kv`, because they read or answer in their own way. Each is measured on
what its paper claims, with the small model of `train-models`:

- SpeCache (arXiv 2503.16163): continue a repeated text by eight tokens; a rough copy alone against exact entries
  fetched in time for the next token, and the hit rate of the guess;
- EpiCache (arXiv 2509.17396): eight questions about one conversation of 64 tokens, 16 entries a layer; a cache for each
  episode against one for all, and against SnapKV made for one question; the most entries held at any time;
- Memory^3 (arXiv 2407.01178): one question about each of up to 32 references that are never read again, against their
  texts pasted; the share of their keys and values that is kept, and the time to the first token;
- CItruS (arXiv 2406.12018): a known question about 64 tokens read in chunks of 8 against 8 entries; the
  instruction chooses against the chunk, and the perplexity of the text.

Contexts come from seeds on which nothing was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, Table, benchmark
from mnemos.registry import Entry

BASELINES = {  # of each method's row, the rows that it is compared with
    "specache": ("specache: 2 bits, 4 entries fetched for a guess of the next", "2 bits alone", "full cache"),
    "epicache": ("epicache: 4 episodes", "one cache for all questions, in blocks", "full cache"),
    "memory3": ("memory3: last layer, 8 of 16 by keydiff", "model alone", "the 3 nearest texts pasted"),
    "citrus": ("citrus: the instruction chooses", "the chunk chooses", "full cache"),
}


@dataclass(frozen=True)
class Options:
    """How many contexts."""

    contexts: int = 40  # contexts, conversations or references of each part; references are at most 32
    seed: int = 0  # seed of the training of the small model


def table(part: str, head: str, columns: dict[str, str]) -> Table:
    """Return the table of a part: `columns` maps a figure to its title."""

    def rows(result: Result) -> Rows:
        lines: Rows = [[head, "answered", *columns.values()]]
        for name, row in result[part].items():
            cells = ["–" if (value := row.get(key)) is None else f"{value:g}" for key in columns]
            lines.append([name, percent(row["accuracy"]), *cells])
        return lines

    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a method answers beside its baseline."""
    if entry.form != "activation" or entry.name not in BASELINES:
        return None
    rows = result[entry.name]
    own, *others = (percent(rows[name]["accuracy"], 0) for name in BASELINES[entry.name])
    return Figure(f"answers {own}", dict(zip(BASELINES[entry.name][1:], others, strict=True)))


@benchmark(
    "kv-fetch",
    help="Caches that choose for a question or fetch in time: SpeCache, EpiCache, Memory^3, CItruS.",
    options=Options,
    tables={
        "kv-fetch-specache": table(
            "specache", "eight tokens", {"fast": "fast bytes, of a full cache's", "hit_rate": "hit rate"}
        ),
        "kv-fetch-epicache": table("epicache", "eight questions, 64 tokens", {"peak": "most entries held"}),
        "kv-fetch-memory3": table(
            "memory3", "references", {"kept": "kept of keys and values", "first_token_ms": "first token, ms"}
        ),
        "kv-fetch-citrus": table("citrus", "known question, 64 tokens", {"perplexity": "perplexity of the text"}),
    },
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each method beside its baselines."""
    import torch

    from mnemos.bench.kv import fetching
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.kv.tiny_models import train_tiny_model

    model = train_tiny_model("recall", options.seed).model
    parts = (fetching.specache, fetching.epicache, fetching.memory3, fetching.citrus)
    found: dict[str, Any] = {}
    progress.expect(len(parts))
    with one_thread(), torch.no_grad():
        for part in parts:
            found[part.__name__] = part(model, options.contexts)
            progress(1)
    return {"seed": options.seed, "contexts": options.contexts, **found}
