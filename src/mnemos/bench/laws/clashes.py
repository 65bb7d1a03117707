"""Knowledge clashes: what is known by heart against a text (arXiv 2305.13300), on the small model that the package ships.

The model knows the places of 32 names, and was trained to believe what it is told. How often a fact was met is varied by
training on further facts, each met 4 to 256 times among texts that have to be read.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, get_args

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.trainer import Trainer
from mnemos.bench.parametric import tiny
from mnemos.parametric.base import Example
from mnemos.parametric.clashes import Clash, Evidence, Shown, arbitrate, decide
from mnemos.parametric.measure import recall

PAPERS = ("2305.13300",)
MEANS = (
    "two sources side by side are not weighed, the first one wins: `parametric.clashes.arbitrate` chooses by time and "
    "shows one."
)

TIMES = (4, 16, 64, 256)  # that a fact is met
EACH = 12  # facts that are met equally often
STEPS, READ = 240, 8  # of the further training; rows of a step that have to be read

ORDERS: tuple[Shown, ...] = ("contradiction", "support first", "support last")


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    model, tokenizer = tiny.load()
    rng = random.Random(f"clashes {seed}")
    clashes = [_clash(name, place, rng) for name, place in tiny.KNOWN.items() for _ in range(3)]
    shown = {of: decide(model, tokenizer, clashes, of) for of in get_args(Shown)}
    found: dict[str, Any] = {"ratio": {of: d.ratio for of, d in shown.items()}}
    found["neither"] = max(d.neither for d in shown.values()) / len(clashes)
    found["arbiter"] = {
        "text is newer": _desired(model, tokenizer, clashes, 1.0), "weights are newer": _desired(model, tokenizer, clashes, -1.0)
    }  # fmt: skip
    found["times"] = _by_times(model, tokenizer, rng, seed)
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    ratio, arbiter, times = figures["ratio"], figures["arbiter"], figures["times"]
    alone, both = ratio["contradiction"], {of: ratio[of] for of in ("support first", "support last")}
    known = {int(n): row["known"] for n, row in times.items()}
    wins = {int(n): row["support first"] for n, row in times.items() if mean(row["known"]) > 0.5}
    rising = [mean(v) for v in wins.values()]
    least = min(mean(v) for v in arbiter.values())
    claims = [
        Claim(
            "a contradiction alone is believed; with a text for what is known beside it, the model falls back on what it knows",
            verdict(mean(alone) < 0.2 and min(mean(v) for v in both.values()) > mean(alone) + 0.2),
            f"memorisation ratio {said(alone)} alone; {listed(both)}",
        ),
        Claim(
            "the order matters",
            verdict(abs(mean(both["support first"]) - mean(both["support last"])) > 0.1),
            f"{listed(both)}",
        ),
        Claim(
            "the ratio grows with how often a fact was met in training",
            verdict(
                len(rising) > 1 and all(a < b for a, b in pairwise(rising)),
                len(rising) > 1 and rising[-1] > rising[0],
            ),
            f"support first, by times met: {listed(wins)} (known by heart: {listed(known)})",
        ),
        Claim(
            "an arbiter by recency that shows one side only brings the desired source above 95 %",
            verdict(least > 0.95),
            listed(arbiter),
        ),
    ]
    by_shown = {"known before": dict(enumerate((alone, *both.values())))}
    shown = Panel("what is shown", "", "memorisation ratio", by_shown, ticks=("contradiction", *both))
    curves = {of: {int(n): row[of] for n, row in times.items()} for of in ("known", *ORDERS)}
    known_by_heart = fit("sigmoid in log x", curves["known"], "by frequency", "known")
    often = Panel("by frequency", "times met", "ratio, and share known", curves, log=True)
    return reported(claims, [shown, often], [known_by_heart], MEANS)


def _clash(name: str, place: str, rng: random.Random) -> Clash:
    other = rng.choice([p for p in tiny.PLACES if p != place])
    told = [tiny.told([(name, where)]) for where in (place, other)]
    return Clash(tiny.asked(name), f" {place}", f" {other}", *told)


def _desired(model: Any, tokenizer: Any, clashes: Sequence[Clash], newer: float) -> float:
    """Return the share of clashes decided for the newer side where an arbiter chooses what is shown."""
    sides: dict[str, Shown] = {"text": "contradiction", "weights": "support"}
    found = 0
    for source, shown in sides.items():
        if chosen := [clash for clash in clashes if _chosen(clash, newer).source == source]:
            decided = decide(model, tokenizer, chosen, shown)
            found += decided.other if source == "text" else decided.known
    return found / len(clashes)


def _chosen(clash: Clash, newer: float) -> Evidence:
    return arbitrate([Evidence(clash.support, 0.0, "weights"), Evidence(clash.contradiction, newer, "text")])


def _by_times(model: Any, tokenizer: Any, rng: random.Random, seed: int) -> dict[str, Any]:
    """Return how clashes over further facts are decided, by how often each was met in training."""
    names = rng.sample(tiny.TOLD, EACH * len(TIMES))
    facts = {name: rng.choice(tiny.PLACES) for name in names}
    groups = {times: names[i * EACH : (i + 1) * EACH] for i, times in enumerate(TIMES)}
    met = [name for times, group in groups.items() for name in group for _ in range(times)]
    rng.shuffle(met)
    trained = learn(deepcopy(model), facts, met, rng)
    found = {}
    for times, group in groups.items():
        clashes = [_clash(name, facts[name], rng) for name in group for _ in range(4)]
        asked = [Example(c.prompt, c.known) for c in clashes]
        row = {"known": recall(trained, tokenizer, asked).value}
        for of in ORDERS:
            row[of] = decide(trained, tokenizer, clashes, of).ratio
        found[str(times)] = row
    return found


def learn(model: Any, facts: Mapping[str, str], met: Sequence[str], rng: random.Random) -> Any:
    """Train a model on facts in the order they are met, among texts that have to be read; return it."""
    from torch import nn, tensor

    from mnemos.bench.parametric.tiny_training import episode

    ids = {word: i for i, word in enumerate(tiny.WORDS)}
    trainer = Trainer(model.requires_grad_(True), rate=3e-3)
    each = -(-len(met) // STEPS)
    for start in range(0, len(met), each):
        stated = [[0, ids[name], ids[facts[name]], ids["."]] for name in met[start : start + each]]
        read = [episode(rng)[0] for _ in range(READ)]
        batch = nn.utils.rnn.pad_sequence([tensor(row) for row in (*stated, *read)], batch_first=True)
        trainer.step(batch)
    return model.requires_grad_(False)
