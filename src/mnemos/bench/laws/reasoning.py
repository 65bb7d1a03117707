"""Memorising and reasoning (arXiv 2410.23123): puzzles of knights and knaves, and what is left when they are changed a little.

LiMem is the accuracy on puzzles times the share of the solved ones that are no longer solved when one statement is changed: high
where solutions were learned by heart. Models learn 30 to 3,000 puzzles, in the same number of steps.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import torch

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.puzzles import (
    ANSWER,
    Puzzle,
    coded,
    puzzles,
    solutions,
    with_another_statement,
    with_other_names,
)
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.parametric.limem import limem

PAPERS = ("2410.23123",)
COUNTS = (30, 300, 3000)  # puzzles that are learned
STEPS, BATCH, RATE, WIDTH, LAYERS = 900, 48, 3e-3, 48, 2
ASKED = 256  # puzzles of each kind, at most
STOPS = (0.1, 0.25, 0.5, 1.0)  # of the training


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    fresh = list(islice(puzzles(f"test {seed}"), ASKED))
    found: dict[str, Any] = {"learned": {}}
    for count in COUNTS:
        rng = random.Random(f"reasoning {seed} {count}")
        learned = list(islice(puzzles(f"learned {seed}"), count))
        asked = {"learned": learned[:ASKED], "fresh": fresh}
        trainer = Trainer(decoder(WIDTH, seed, LAYERS), RATE, counted=ANSWER)
        ids = torch.tensor([coded(puzzle) for puzzle in learned])
        fresh_by_age = {}
        for step in range(1, STEPS + 1):
            trainer.step(ids[[rng.randrange(count) for _ in range(BATCH)]])
            if step / STEPS in STOPS:
                fresh_by_age[str(step / STEPS)] = mean([float(right) for right in solved(trainer.model, fresh)])
        row = {name: _gauge(trainer.model, of, random.Random(f"changes {seed}")) for name, of in asked.items()}
        found["learned"][str(count)] = {**row, "by age": fresh_by_age}
    drawn = [*fresh, *learned]
    found["agree"] = mean([float(len(solutions(p.said)) == 1) for p in drawn])
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    rows = {int(count): row for count, row in figures["learned"].items()}
    scores = {of: {count: row[of]["limem"] for count, row in rows.items()} for of in ("learned", "fresh")}
    right = {of: {count: row[of]["right"] for count, row in rows.items()} for of in ("learned", "fresh")}
    kept = {count: row["learned"]["kept"] for count, row in rows.items()}
    falls, stays, unlearned = ([mean(of) for of in by.values()] for by in (scores["learned"], kept, scores["fresh"]))
    ages = {float(at): of for at, of in rows[max(rows)]["by age"].items()}
    claims = [
        Claim(
            "LiMem on learned puzzles is high where few are learned, and falls as more are, as changed ones are solved, too",
            verdict(falls[0] > 0.5 and _sorted(falls, True) and falls[-1] < 0.7 * falls[0] and _sorted(stays),
                    falls[0] > falls[-1]),
            f"by puzzles learned: {listed(scores['learned'])} (accuracy: {listed(right['learned'])}; changed ones of those "
            f"solved: {listed(kept)})",
        ),
        Claim(
            "on puzzles that were not learned it is lower",
            verdict(all(a < b for a, b in zip(unlearned, falls, strict=True)), mean(unlearned) < mean(falls)),
            f"by puzzles learned: {listed(scores['fresh'])}",
        ),
        Claim(
            "the accuracy on fresh puzzles rises as more are learned, and during the training",
            verdict(mean(right["fresh"][max(rows)]) > mean(right["fresh"][min(rows)]) + 0.1
                    and mean(ages[1.0]) > mean(ages[STOPS[0]]) + 0.05),
            f"by puzzles learned: {listed(right['fresh'])}; of {max(rows)} by share of the training: {listed(ages)}",
        ),
        Claim(
            "the generator and the solver agree on all puzzles",
            verdict(min(figures["agree"]) == 1.0),
            f"{said(figures['agree'])}",
        ),
    ]  # fmt: skip
    others = {count: row["learned"]["other names"] for count, row in rows.items()}
    panels = [
        Panel("LiMem", "puzzles learned", "LiMem", {"learned": scores["learned"], "fresh": scores["fresh"]}, log=True),
        Panel("accuracy", "puzzles learned", "solved", {
            "learned": right["learned"], "fresh": right["fresh"], "one statement changed": kept, "other names": others,
        }, log=True),
    ]  # fmt: skip
    law = fit("logarithm", right["fresh"], "accuracy", "fresh")
    few, many = (mean(scores["learned"][n]) for n in (min(rows), max(rows)))
    means = (
        f"Whether a write was understood or learned by heart is told by changed copies of it (`limem`): {few:.2f} after "
        f"{min(rows)} items, {many:.2f} after {max(rows)}; what is to be used in new cases needs many different examples."
    )
    return reported(claims, panels, [law], means)


def _sorted(values: list[float], falling: bool = False) -> bool:
    return values == sorted(values, reverse=falling)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def solved(model: Any, asked: Sequence[Puzzle]) -> list[bool]:
    """Return which puzzles a greedy model solves."""
    ids = torch.tensor([coded(puzzle) for puzzle in asked])
    best = model(ids, use_cache=False).logits[:, -ANSWER - 1 : -1].argmax(-1)
    return [bool(right) for right in (best == ids[:, -ANSWER:]).all(1)]


def _gauge(model: Any, asked: Sequence[Puzzle], rng: random.Random) -> dict[str, float]:
    """Return the accuracy on puzzles, what is left when they are changed, and LiMem."""
    pairs = [(puzzle, other) for puzzle in asked if (other := with_another_statement(puzzle, rng))]
    found = limem(*(solved(model, of) for of in zip(*pairs, strict=True)))
    renamed = solved(model, [with_other_names(puzzle, rng) for puzzle in asked])
    return {
        "right": found.accuracy,
        "kept": found.kept,
        "other names": mean(list(map(float, renamed))),
        "limem": found.score,
    }
