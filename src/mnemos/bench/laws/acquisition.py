"""How facts are acquired while a model reads (arXiv 2406.11813): the jump at each exposure, and the decay after it.

A model that knows a world by heart reads on about it, and facts about new people come by, all of a schedule in a step: once, ten
times in the same words, ten times in other words by turns; or, at a rate at which they are forgotten soon, four times in short
and in long intervals. The log-probability of each fact is asked in the words of the first exposure and in words that are never
used; that of facts that are never met is taken off. A model that has read only texts met once (as here before) learns a fifth of
a nat from an exposure, which is within the noise. Settings and bars were fixed on seed 100.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import exp, log
from typing import Any

import torch

from mnemos.bench.laws import population
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import coded, rows
from mnemos.bench.laws.trainer import WARM_UP, Trainer
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import Fact, World
from mnemos.parametric.forgetting import Line, line

PAPERS = ("2406.11813",)
MEANS = "a fact has to come again before it fades, so consolidation spreads its repetitions instead of one long study."

WIDTH, EACH, ROWS = 48, 24, 3  # of the model; facts of a schedule; trainings of new facts, which are averaged
TIMES, EVERY = 10, 8  # exposures of a schedule, and steps between them
SCHEDULES = {"once": 1, "same words": TIMES, "other words": TIMES, "never": 0}  # exposures, the last of all in one step
BATCHES, RATE = (8, 48), 1e-3  # texts of a step besides; of training
SOON_BATCH, SOON_RATE, INTERVALS, AGAIN = (
    16,
    1e-2,
    (16, 160),
    4,
)  # what is forgotten soon; steps between its exposures; how many
LAGS = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # steps after the last exposure
WINDOW = 8  # steps after it in which momentum still adds: the decay is fitted from there
NEVER = 2  # the template that is never used
OTHERS = 10**9  # seed of the first texts that are read besides: none that the model has read


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    start, world = population.grown(WIDTH, seed).model, population.world(seed)
    last = TIMES * EVERY
    met = {of: [last - EVERY * at for at in reversed(range(times))] for of, times in SCHEDULES.items()}
    found: dict[str, Any] = {}
    for batch in BATCHES:
        gains = [_gains(Trainer(deepcopy(start), RATE), world, met, batch, seed * ROWS + row) for row in range(ROWS)]
        found[str(batch)] = {key: _read(met[key.rpartition(" ")[0]], of) for key, of in _means(gains).items()}
    end = (AGAIN - 1) * max(INTERVALS)
    again = {f"every {n}": [end - n * at for at in reversed(range(AGAIN))] for n in INTERVALS} | {"never": []}
    gains = [
        _gains(Trainer(deepcopy(start), SOON_RATE), world, again, SOON_BATCH, seed * ROWS + row, ())
        for row in range(ROWS)
    ]
    found["again"] = {
        str(n): {str(i): of[at] for i, at in enumerate(again[f"every {n}"])}
        for n in INTERVALS for of in [_means(gains)[f"every {n} 0"]]
    }  # fmt: skip
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    batches = {batch: figures[str(batch)] for batch in BATCHES}
    large = batches[BATCHES[-1]]
    jumps = {of: large[f"{of} 0"]["jump"] for of in SCHEDULES if of != "never"}
    seeds = range(len(jumps["once"]))
    fits = {
        f"{of}, batch {batch}": [_decay(row[f"{of} 0"], i).r2 for i in seeds]
        for batch, row in batches.items() for of in ("same words", "other words")
    }  # fmt: skip
    unseen = {of: large[f"{of} {NEVER}"] for of in ("same words", "other words")}
    by_batch = {f"batch {batch}": row["same words 0"] for batch, row in batches.items()}
    again = {int(n): {int(at): of for at, of in row.items()} for n, row in figures["again"].items()}
    kept = {f"every {n}": [b - a for a, b in zip(row[0], row[AGAIN - 1], strict=True)] for n, row in again.items()}
    short, long = (mean(kept[f"every {n}"]) for n in INTERVALS)
    claims = [
        Claim(
            "each exposure raises the log-probability of a fact at once",
            verdict(min(map(mean, jumps.values())) > 0.3, min(map(mean, jumps.values())) > 0.1),
            f"nats an exposure, within {WINDOW} steps: {listed(jumps)}",
        ),
        Claim(
            "afterwards what is left falls in a line with the logarithm of the steps (R² above .9)",
            verdict(min(map(mean, fits.values())) > 0.9, max(map(mean, fits.values())) > 0.9),
            f"R²: {listed(fits)}; at the slope of the last steps nothing is left after {_ends(large['same words 0']):.0f} steps",
        ),
        Claim(
            "facts met in the same words are forgotten faster than those met in other words",
            verdict(_left(unseen["other words"]) > _left(unseen["same words"]) + 0.05),
            f"in words never used, {_nats(unseen)}",
        ),
        Claim(
            "a larger batch forgets more slowly",
            verdict(_left(by_batch[f"batch {BATCHES[1]}"]) > _left(by_batch[f"batch {BATCHES[0]}"]) + 0.05),
            _nats(by_batch),
        ),
        Claim(
            "what comes again too rarely is not learned",
            verdict(long < 0.25 * short and short > 1, long < 0.5 * short and short > 1),
            f"nats gained between the first and the last of {AGAIN} exposures, at a rate of {SOON_RATE:g}: {listed(kept)}",
        ),
    ]
    lags = {
        f"{of}, {words}": {int(lag): v for lag, v in large[f"{of} {t}"]["left"].items()}
        for of in ("same words", "other words") for t, words in ((0, "as met"), (NEVER, "reworded"))
    }  # fmt: skip
    panels = [
        Panel("exposures", "exposure", "gain before it, nats", {
            of: {int(at): v for at, v in large[f"{of} 0"]["before"].items()} for of in ("same words", "other words")
        }),
        Panel("after the last exposure", "steps", "gain left, nats", lags, log=True),
        Panel("again", "exposure", "gain before it, nats", {f"every {n} steps": row for n, row in again.items()}),
    ]  # fmt: skip
    law = fit("logarithm", {lag: v for lag, v in lags["same words, as met"].items() if lag >= WINDOW},
              panels[1].title, "same words, as met")  # fmt: skip
    return reported(claims, panels, [law], MEANS)


class _Question:
    """Asks how likely the values of facts are, in the words of a template."""

    def __init__(self, facts: Sequence[Fact], template: int) -> None:
        whole = [coded(f"{fact.prompt(template)} {fact.value}") for fact in facts]
        begun = torch.tensor([len(coded(fact.prompt(template))) for fact in facts])
        self.ids = rows([f"{fact.prompt(template)} {fact.value}" for fact in facts])
        place = torch.arange(1, self.ids.shape[1])
        ends = torch.tensor([len(ids) for ids in whole])
        self.counted = (place >= begun[:, None]) & (place < ends[:, None])

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
    def __call__(self, model: Any) -> list[float]:
        """Return the log-probability of each value."""
        likely = model(self.ids, use_cache=False).logits[:, :-1].log_softmax(-1)
        own = likely.gather(-1, self.ids[:, 1:, None])[..., 0]
        return [float(value) for value in (own * self.counted).sum(1)]


def _gains(
    trainer: Trainer,
    world: World,
    met: Mapping[str, Sequence[int]],
    batch: int,
    number: int,
    lags: Sequence[int] = LAGS,
) -> dict[str, dict[int, float]]:
    """Train while facts come by at the steps of each schedule.

    Returns their mean gain over those never met by schedule and template, at the steps around exposures and at the lags after
    the last.
    """
    rng = random.Random(f"acquisition {number}")
    facts = {of: [_fact(world, rng) for _ in range(EACH)] for of in met}
    questions = {t: _Question([fact for these in facts.values() for fact in these], t) for t in (0, NEVER)}
    trainer.steps = WARM_UP
    exposures = {step for steps in met.values() for step in steps}
    last = max(exposures)
    wanted = {0, *exposures, *(step + WINDOW for step in exposures), *(last + lag for lag in lags)}
    likely: dict[int, dict[int, list[float]]] = {t: {} for t in questions}
    for step in range(last + max(lags, default=0) + 1):
        if step in wanted:
            for t, question in questions.items():
                likely[t][step] = question(trainer.model)
        new = [text for of, these in facts.items() for text in _met(of, these, met[of], step)]
        trainer.step(rows([*world.sentences(batch, OTHERS + 10_000 * number + step), *new]))
    order = list(met)

    def gain(t: int, of: str, step: int) -> float:
        own, never = (
            mean(likely[t][step][at * EACH : (at + 1) * EACH]) - mean(likely[t][0][at * EACH : (at + 1) * EACH])
            for at in (order.index(of), order.index("never"))
        )
        return own - never

    return {
        f"{of} {t}": {step: gain(t, of, step) for step in sorted(likely[t])}
        for of in met
        if of != "never"
        for t in likely
    }


def _fact(world: World, rng: random.Random) -> Fact:
    """Return a fact about somebody new."""
    relation = rng.choice(list(world.values))
    return Fact(name(rng, 3), relation, rng.choice(world.values[relation]), 0, 0)


def _met(of: str, facts: Sequence[Fact], steps: Sequence[int], step: int) -> list[str]:
    """Return the texts that state facts at a step; those in other words take turns with two templates."""
    if step not in steps:
        return []
    template = steps.index(step) % 2 if of == "other words" else 0
    return [fact.statement(template) for fact in facts]


def _means(gains: Sequence[Mapping[str, Mapping[int, float]]]) -> dict[str, dict[int, float]]:
    return {key: {step: mean([of[key][step] for of in gains]) for step in row} for key, row in gains[0].items()}


def _read(met: Sequence[int], gains: Mapping[int, float]) -> dict[str, Any]:
    """Return what the gains of a schedule say."""
    jumps = [gains[step + WINDOW] - gains[step] for step in met]
    return {
        "jump": mean(jumps),
        "before": {str(i): gains[step] for i, step in enumerate(met)},
        "peak": max(gains[met[-1] + lag] for lag in LAGS if lag <= WINDOW),
        "left": {str(lag): gains[met[-1] + lag] for lag in LAGS},
    }


def _decay(row: Mapping[str, Any], seed: int) -> Line:
    """Return the line of what is left by the logarithm of steps, once momentum adds no more."""
    lags = [lag for lag in LAGS if lag >= WINDOW]
    return line([log(lag) for lag in lags], [row["left"][str(lag)][seed] for lag in lags])


def _ends(row: Mapping[str, Any]) -> float:
    """Return after how many steps the mean line of what is left comes to 0."""
    lines = [_decay(row, i) for i in range(len(row["peak"]))]
    return exp(-mean([of.start for of in lines]) / mean([of.slope for of in lines]))


def _left(row: Mapping[str, Any]) -> float:
    """Return the share of the gain that is left at the last lag."""
    return mean(row["left"][str(LAGS[-1])]) / mean(row["peak"])


def _nats(rows: Mapping[str, Any]) -> str:
    """Return the gains of schedules after the last exposure and later."""
    each = [f"{of}: {said(row['peak'])} and {said(row['left'][str(LAGS[-1])])}" for of, row in rows.items()]
    return f"gain in nats after the last exposure, and {LAGS[-1]} steps later: {'; '.join(each)}"
