"""Memorisation profiles (arXiv 2406.04327), beside what is true: the model trained again without the texts of one time.

A model that has read prose reads on, no text twice. Checkpoints are kept; texts of some times and texts that are never met are
scored at each. For some times the training is repeated from the checkpoint before, with other texts in the place of those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import sqrt
from typing import Any

import torch

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import prose, rows, take
from mnemos.bench.laws.trainer import Trainer, reader
from mnemos.bench.parametric.small_models import loss_of
from mnemos.parametric.profiles import Profile, profile

PAPERS = ("2406.04327",)
MEANS = (
    "what a text left in the weights can be read off checkpoints by `parametric.profiles.profile`, without training "
    "again."
)

READ, BATCH = 200, 32  # steps of reading before, texts of a step
CHECKPOINTS, EACH = 10, 8  # checkpoints after the start, and steps between two
GROUPS = (2, 4, 6, 8)  # whose texts are scored, and which the training is repeated without
WIDTHS, RATES = (32, 64, 128), (1e-3, 3e-3, 1e-2)
WIDTH, RATE = 64, 3e-3  # of the repeated trainings
JUMP = -0.1  # nats a token: no text that was met makes a model worse at it; the training was unsteady there


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    stream = prose(f"profiles {seed}")
    batches = [take(stream, BATCH) for _ in range(CHECKPOINTS * EACH)]
    never = take(stream, 2 * BATCH * EACH)
    found: dict[str, Any] = {"width": {}, "rate": {}}
    for width in WIDTHS:
        start = reader(width, seed, READ).model
        for rate in RATES if width == WIDTH else (RATE,):
            states, scores = _run(start, rate, batches, never)
            of = profile({g: scores[g] for g in GROUPS}, scores[0])
            if width == WIDTH and rate == RATE:
                true = {g: _true(states[g - 1], rate, batches, g, scores[g], stream) for g in GROUPS}
                found["estimated"] = {str(g): _row(of.effects[g]) for g in GROUPS}
                found["true"] = {str(g): _row(true[g]) for g in GROUPS}
                found["correlation"] = _correlation(of, true)
            if rate == RATE:
                found["width"][width] = _summary(of)
            if width == WIDTH:
                found["rate"][rate] = _summary(of)
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    main = figures["width"][str(WIDTH)]
    by = {of: {key: row["instantaneous"] for key, row in figures[of].items()} for of in ("width", "rate")}
    left = {int(n): main["later"][n] for n in main["later"]}
    values = {of: [mean(row) for row in rows.values()] for of, rows in by.items()}
    first, last = left[0], left[max(left)]
    seeds = range(len(figures["correlation"]))
    steady, jumps = [_steady(figures, i) for i in seeds], [len(_jumps(figures, i)) for i in seeds]
    claims = [
        Claim(
            "the estimate matches what training again without the texts shows (correlation above .8)",
            verdict(min(steady) > 0.8 and mean(figures["correlation"]) > 0.8, mean(steady) > 0.8),
            f"correlation {said(steady)} over {len(GROUPS)} times and their later checkpoints where the training was steady; "
            f"{said(figures['correlation'])} with those at which its loss jumped ({', '.join(map(str, jumps))} of "
            f"{CHECKPOINTS}, by seed)",
        ),
        Claim(
            "before the texts are met it is about 0",
            verdict(mean(main["placebo"]) < 0.25 * mean(first), mean(main["placebo"]) < 0.5 * mean(first)),
            f"mean size before: {said(main['placebo'], 4)}, at once: {said(first, 4)} nats a token",
        ),
        Claim(
            "it decays while training goes on",
            verdict(mean(last) < 0.7 * mean(first), mean(last) < mean(first)),
            f"by checkpoints after the first: {listed(left, 4)}",
        ),
        Claim(
            "it grows with the width of the model",
            verdict(values["width"] == sorted(values["width"]), values["width"][-1] > values["width"][0]),
            f"at once, by width: {listed(by['width'], 4)}",
        ),
        Claim(
            "it grows with the learning rate",
            verdict(values["rate"] == sorted(values["rate"]), values["rate"][-1] > values["rate"][0]),
            f"at once, by rate: {listed(by['rate'], 4)}",
        ),
    ]
    curves = {}
    for g in GROUPS:
        for of in ("estimated", "true"):
            curves[f"met at {g}, {of}"] = {int(c): value for c, value in figures[of][str(g)].items()}
    widths = {f"width {w}": {int(n): v for n, v in row["later"].items()} for w, row in figures["width"].items()}
    rates = {f"rate {r}": {int(n): v for n, v in row["later"].items()} for r, row in figures["rate"].items()}
    y = "effect, nats a token"
    panels = [
        Panel(f"width {WIDTH}", "checkpoint", y, curves), Panel("by width", "checkpoints later", y, widths),
        Panel("by rate", "checkpoints later", y, rates),
    ]  # fmt: skip
    decay = fit("line", widths[f"width {WIDTH}"], "by width", f"width {WIDTH}")
    return reported(claims, panels, [decay], MEANS)


def _run(
    start: Any, rate: float, batches: Sequence[list[str]], never: Sequence[str]
) -> tuple[list[Any], dict[int, list[float]]]:
    """Return the checkpoints of a training and the scores of groups at each; those of texts never met as group 0."""
    trainer = Trainer(deepcopy(start), rate)
    groups = {0: never} | {g: _texts(batches, g) for g in GROUPS}
    scores: dict[int, list[float]] = {g: [] for g in groups}
    states = []
    for c in range(CHECKPOINTS + 1):
        trainer.run(rows(batch) for batch in (batches[(c - 1) * EACH : c * EACH] if c else ()))
        states.append((deepcopy(trainer.model), deepcopy(trainer.optimizer.state_dict()), trainer.steps))
        for g, of in groups.items():
            scores[g].append(_score(trainer.model, of))
    return states, scores


def _true(
    state: Any, rate: float, batches: Sequence[list[str]], g: int, scores: Sequence[float], fresh: Any
) -> list[float]:
    """Return the true effect of the texts of a time at each checkpoint: 0 before it."""
    model, optimizer, steps = state
    trainer = Trainer(deepcopy(model), rate)
    trainer.optimizer.load_state_dict(optimizer)
    trainer.steps = steps
    found = [0.0] * g
    for c in range(g, CHECKPOINTS + 1):
        here = batches[(c - 1) * EACH : c * EACH]
        trainer.run(rows(take(fresh, BATCH) if c == g else batch) for batch in here)
        found.append(scores[c] - _score(trainer.model, _texts(batches, g)))
    return found


def _texts(batches: Sequence[list[str]], g: int) -> list[str]:
    return [text for batch in batches[(g - 1) * EACH : g * EACH] for text in batch]


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def _score(model: Any, texts: Sequence[str]) -> float:
    """Return the mean log-likelihood of the tokens of texts."""
    return -float(loss_of(model, rows(texts)))


def _row(values: Sequence[float]) -> dict[str, float]:
    return {str(c): value for c, value in enumerate(values)}


def _summary(of: Profile) -> dict[str, Any]:
    """Return the effect at once, later, and before, as means over groups."""
    before = [abs(value) for values in of.placebo.values() for value in values]
    later = {str(n): mean(list(of.persistent(n).values())) for n in range(CHECKPOINTS - max(GROUPS) + 1)}
    return {"instantaneous": mean(list(of.instantaneous.values())), "later": later, "placebo": mean(before)}


def _jumps(figures: Mapping[str, Any], seed: int) -> set[str]:
    """Return the checkpoints at which the training itself was worse than without the texts, whatever was asked."""
    of = {g: figures["true"][str(g)] for g in GROUPS}
    return {
        str(c) for c in range(1, CHECKPOINTS + 1)
        if (rows := [of[g][str(c)][seed] for g in GROUPS if g <= c]) and max(rows) < JUMP
    }  # fmt: skip


def _steady(figures: Mapping[str, Any], seed: int) -> float:
    """Return the correlation without the checkpoints at which the loss of the training jumped."""
    without = _jumps(figures, seed)
    estimated, true = (
        {
            g: [values[seed] for c, values in figures[of][str(g)].items() if int(c) >= g and c not in without]
            for g in GROUPS
        }
        for of in ("estimated", "true")
    )
    return _pearson([x for g in GROUPS for x in estimated[g]], [y for g in GROUPS for y in true[g]])


def _correlation(of: Profile, true: Mapping[int, Sequence[float]]) -> float:
    """Return the correlation over the cells from the time that a group was met."""
    return _pearson(
        [value for g in GROUPS for value in of.effects[g][g:]], [value for g in GROUPS for value in true[g][g:]]
    )


def _pearson(xs: Sequence[float], ys: Sequence[float]) -> float:
    mx, my = mean(xs), mean(ys)
    top = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    return float(top / sqrt(sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys)))
