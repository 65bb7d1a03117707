"""Contamination is forgotten (arXiv 2410.03249): what was met too early is lost while training goes on, by decay at the latest.

A model reads prose; early on it meets questions of a benchmark with their answers, 16 to 64 times. Then it reads on, at three
weight decays. The gap is what the log-probability of their answers gained since, over that of questions it never met;
what is left of the gap is compared with the bound from rates and decay alone. The paper asks questions of seven benchmarks in
models of up to 1.6 B parameters.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import exp
from typing import Any

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import prose, rows, take
from mnemos.bench.laws.questions import ask, new_fact, offered
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.bench.parametric.facts import Fact
from mnemos.parametric.survival import survival

PAPERS = ("2410.03249",)
WIDTH, BATCH, RATE = 64, 16, 3e-3
READ, MEETING = 200, 200  # steps before the questions are met, and while they are
TIMES = (16, 32, 64)  # that a question is met
EACH = 40  # questions that are met equally often
DECAYS, LATER_RATE = (0.1, 2.0, 10.0), 5e-4  # while the model reads on
LATER = (0, 10, 25, 50, 100, 200, 400)  # steps after the last meeting
CHOICES = 4  # answers that a question offers


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = random.Random(f"contamination {seed}")
    asked = {times: [new_fact(rng) for _ in range(EACH)] for times in (*TIMES, 0)}
    answers = {times: offered(of, rng, CHOICES) for times, of in asked.items()}
    texts = prose(f"clean {seed}")
    first = Trainer(decoder(WIDTH, seed), RATE)
    first.run(rows(take(texts, BATCH)) for _ in range(READ))
    before = {times: _own(first.model, of, answers[times]) for times, of in asked.items()}
    planted = _planted(asked, random.Random(f"met {seed}"))
    first.run(rows([*here, *take(texts, BATCH)]) for here in planted)
    found: dict[str, Any] = {}
    for decay in DECAYS:
        trainer = Trainer(deepcopy(first.model), LATER_RATE, decay=decay)
        later = prose(f"later {seed}")
        gaps: dict[str, Any] = {str(times): {} for times in TIMES}
        right: dict[str, Any] = {str(times): {} for times in (*TIMES, 0)}
        for step in range(LATER[-1] + 1):
            if step in LATER:
                gained = {t: _own(trainer.model, of, answers[t]) - before[t] for t, of in asked.items()}
                for times, of in asked.items():
                    right[str(times)][str(step)] = ask(trainer.model, of, answers[times]).chosen
                    if times:
                        gaps[str(times)][str(step)] = gained[times] - gained[0]
            trainer.step(rows(take(later, BATCH)))
        bound = survival([LATER_RATE] * LATER[-1], decay)
        found[str(decay)] = {"gap": gaps, "right": right, "bound": {str(step): bound[step] for step in LATER}}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    most, last, least = str(TIMES[-1]), str(LATER[-1]), str(DECAYS[0])
    left = {decay: {times: _left(row["gap"][times]) for times in row["gap"]} for decay, row in figures.items()}
    bound = {decay: {int(step): of for step, of in row["bound"].items()} for decay, row in figures.items()}
    shrinks = {decay: of[most][LATER[-1]] for decay, of in left.items()}
    lasting = figures[least]["gap"]
    above = [
        mean(of[step]) - mean(bound[decay][step])
        for decay, each in left.items()
        for of in each.values()
        for step in LATER
    ]
    ends = {int(times): of[last] for times, of in lasting.items()}
    falls = [mean(of) for of in shrinks.values()]
    claims = [
        Claim(
            "the gap between what was met and what was not shrinks as training goes on",
            verdict(all(mean(of) < 0.5 for of in shrinks.values()), falls[-1] < 0.5),
            f"left of the gap after {last} steps, by weight decay: {listed(shrinks)}; answers chosen right, met {most} times: "
            f"{listed({step: figures[least]['right'][most][str(step)] for step in LATER})}",
        ),
        Claim(
            "faster where the weight decay is larger",
            verdict(falls == sorted(falls, reverse=True) and falls[0] > falls[-1] + 0.05, falls[0] > falls[-1]),
            f"left after {last} steps, by weight decay: {listed(shrinks)}",
        ),
        Claim(
            "what is left is never more than the cumulative weight decay leaves",
            verdict(max(above) < 0.05, sum(a < 0.05 for a in above) > 0.9 * len(above)),
            f"left less the bound, at most: {max(above):.2f}; the bound after {last} steps: "
            f"{listed({decay: of[LATER[-1]] for decay, of in bound.items()})}",
        ),
        Claim(
            "what was met more often takes longer to forget",
            verdict(mean(ends[TIMES[-1]]) > mean(ends[TIMES[0]]) + 0.1, mean(ends[TIMES[-1]]) > mean(ends[TIMES[0]])),
            f"gap in nats after {last} steps, by times met: {listed(ends)}; at first: "
            f"{listed({int(times): of['0'] for times, of in lasting.items()})}",
        ),
    ]  # fmt: skip
    curves = {f"decay {decay}": left[decay][most] for decay in left} | {
        f"bound, decay {decay}": bound[decay] for decay in bound
    }
    panels = [
        Panel(f"met {most} times", "steps afterwards", "left of the gap", curves, log=True),
        Panel(f"decay {least}", "steps afterwards", "gap, nats", {
            f"met {times} times": {int(step): of for step, of in row.items()} for times, row in lasting.items()
        }, log=True),
    ]  # fmt: skip
    law = fit("exponential to a floor", left[least][most], panels[0].title, f"decay {least}")
    means = (
        "From rates and decay alone `survival` says how long a memory in weights can last at most, and `rehearse_at` when it has "
        f"to come again; other texts write over it faster: to {exp(-1):.0%} in {law.value('time'):.0f} steps."
    )
    return reported(claims, panels, [law], means)


def _planted(asked: Mapping[int, Sequence[Fact]], rng: random.Random) -> list[list[str]]:
    """Return the statements of each step in which questions are met."""
    steps: list[list[str]] = [[] for _ in range(MEETING)]
    for times, facts in asked.items():
        for fact in facts:
            for _ in range(times):
                steps[rng.randrange(MEETING)].append(fact.statement())
    return steps


def _own(model: Any, facts: Sequence[Fact], answers: Sequence[Sequence[str]]) -> float:
    """Return the mean log-probability of the right answers."""
    return float(ask(model, facts, answers).likely[:, 0].mean())


def _left(gaps: Mapping[str, Sequence[float]]) -> dict[int, list[float]]:
    """Return what is left of the first gap at each time, by seed."""
    first = gaps[str(LATER[0])]
    return {int(step): [b / a for a, b in zip(first, of, strict=True)] for step, of in gaps.items()}
