"""The whole history in the prompt, or what a search finds: `mnemos bench growth`, from 1 to 300 conversations.

After ConvoMem (arXiv 2511.10523): six classes of questions over ever more conversations (see `conversations.py`). A
scripted reader reads without fault whatever it is shown, so "everything" is the ceiling that a model's attention may
fall short of, and costs its tokens; "window" is the newest 8,000 of them. Where the price of a prompt decides, the
crossover is where the whole history costs more tokens than what a search shows; where quality decides, where a search
first answers as many questions. `--url` and `--model` put a model in the reader's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.plots import PALETTE, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.arms import Arm, Shower, compare, pooled, told
from mnemos.bench.text.conversations import CLASSES, history
from mnemos.bench.text.facts import cached
from mnemos.bench.text.reader import PROTOCOL, STAGES, ModelReader, Reader, ScriptedReader

SIZES = (1, 3, 10, 30, 100, 300)
SHOWN: tuple[Arm, ...] = (
    "everything", "window", "words", "vectors", "mnemos", "mnemos if answerable", "oracle",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The histories, and what is shown of them."""

    sizes: tuple[int, ...] = SIZES  # conversations of a history
    each: int = 3  # facts of every class
    users: int = 4  # histories of every size
    k: int = 5  # turns that a search shows
    window: int = 8_000  # tokens of the newest turns that "window" shows
    arms: tuple[Arm, ...] = SHOWN  # what is compared
    embedder: str = "bundled"  # what embeds the texts
    url: str = (
        ""  # an OpenAI-compatible endpoint that reads in place of the scripted reader, such as http://localhost:8000/v1
    )
    model: str = ""  # the model that reads there


def table(result: Result) -> Rows:
    """Return the share of right answers by size, arm and class, with silence where nothing answers, tokens and time."""
    head = ["conversations", "shown", *CLASSES, "all", "silent on abstention", "tokens a question", "ms a question"]
    lines: Rows = [head]
    for size, arms in result["sizes"].items():
        for arm, rows in arms.items():
            cells = [percent(rows[kind]["right"], 0) if kind in rows else "–" for kind in (*CLASSES, "all")]
            cells.append(percent(rows["abstention"]["silent"], 0) if "abstention" in rows else "–")
            lines.append([size, arm, *cells, f"{rows['all']['tokens']:.0f}", f"{rows['all']['ms']:.1f}"])
    return lines


def stages(result: Result) -> Rows:
    """Return what became of the answers over the longest history: right, or the stage that failed."""
    size, arms = list(result["sizes"].items())[-1]
    lines: Rows = [[f"shown, {size} conversations", *STAGES, "all evidence shown"]]
    for arm, rows in arms.items():
        lines.append([arm, *(percent(rows["all"][stage]) for stage in STAGES), percent(rows["all"]["evidence"])])
    return lines


def crossovers(result: Result) -> Rows:
    """Return from which size on a search costs fewer tokens than the whole, and up to which it answers fewer questions."""
    lines: Rows = [["against everything", "costs fewer tokens from", "answers fewer questions at"]]
    for arm in (a for a in next(iter(result["sizes"].values())) if a not in ("everything", "oracle")):
        cheaper = [
            n for n, arms in result["sizes"].items() if _all(arms, arm, "tokens") < _all(arms, "everything", "tokens")
        ]
        worse = [
            n for n, arms in result["sizes"].items() if _all(arms, arm, "right") < _all(arms, "everything", "right")
        ]
        lines.append([arm, cheaper[0] if cheaper else "never", ", ".join(worse) or "none"])
    return lines


def _all(arms: Mapping[str, Any], arm: str, what: str) -> float:
    return float(arms[arm]["all"][what])


def plot(result: Result, path: Path) -> Path:
    """Draw answers and tokens by the number of conversations."""
    figure = new_figure(9, 3.4)
    sizes = [int(n) for n in result["sizes"]]
    for number, (what, title) in enumerate((("right", "right answers"), ("tokens", "tokens a question")), 1):
        axis = figure.add_subplot(1, 2, number)
        for arm, color in zip(next(iter(result["sizes"].values())), PALETTE, strict=False):
            axis.plot(sizes, [_all(a, arm, what) for a in result["sizes"].values()], "o-", color=color, label=arm)
        axis.set_xscale("log")
        if what == "tokens":
            axis.set_yscale("symlog")
            axis.legend(frameon=False, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("conversations")
        tidy(axis)
    figure.savefig(path, dpi=150)
    return path


@benchmark(
    "growth",
    help="The whole history in the prompt against search, from 1 to 300 conversations: answers, tokens and time.",
    options=Options,
    tables={"growth": table, "growth-crossover": crossovers, "growth-stages": stages},
    plot=plot,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return shares by stage, tokens and time of every arm for each size and class."""
    embedder = cached(options.embedder)
    reader: Reader = ModelReader(options.url, options.model) if options.url else ScriptedReader()
    progress.expect(len(options.sizes) * options.users)
    sizes: dict[str, Any] = {}
    for size in options.sizes:
        parts = []
        for seed in range(options.users):
            haystack = history(size, options.each, seed)
            with told(haystack, embedder) as space:
                shower = Shower(space, "turn", options.k, options.window)
                parts.append(compare(shower, haystack.questions, reader, options.arms))
            progress(1)
        kinds = {arm: {kind for part in parts for kind in part[arm]} for arm in options.arms}
        sizes[str(size)] = {
            arm: {kind: pooled([p[arm][kind] for p in parts if kind in p[arm]]) for kind in sorted(kinds[arm])}
            for arm in options.arms
        }
    return {"reader": reader.name, "protocol": PROTOCOL, "users": options.users, "k": options.k, "sizes": sizes}
