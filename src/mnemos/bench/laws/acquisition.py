"""How facts are acquired while a model reads (arXiv 2406.11813): the jump at each exposure, and the decay after it.

A model that has read prose reads on, and facts about people come by, one in a step: once, in the same words every 40 steps, in
other words every 40 steps, or at other intervals. The log-probability of each fact is asked every few steps, in the words of
the first exposure and in words that are never used; that of facts that are never met is taken off.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import log
from typing import Any

import torch

from mnemos.bench.laws.claims import Claim, Panel, Seen, listed, mean, reported, said, verdict
from mnemos.bench.laws.language import coded, prose, rows, take
from mnemos.bench.laws.trainer import Trainer, reader
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import Fact
from mnemos.parametric.forgetting import Line, line

PAPERS = ("2406.11813",)
MEANS = "a fact has to come again before it fades, so consolidation spreads its repetitions instead of one long study."

WIDTH, READ, STEPS, EVERY = 96, 300, 640, 4  # steps of reading before, and while facts come by; between two questions
EACH = 12  # facts of a schedule, each met EVERY steps after the one before
SCHEDULES: Mapping[str, range] = {  # the steps at which the first fact is met
    "once": range(4, 5), "same words": range(8, 400, 40), "other words": range(12, 400, 40),
    "every 12": range(16, 400, 12), "every 160": range(20, 520, 160), "never": range(0),
}  # fmt: skip
BATCHES = (8, 24)  # texts of a step besides
WINDOW = 8  # steps after an exposure in which the jump is at its highest
LAGS = (8, 16, 32, 64, 128, 200)  # steps after the last exposure, where the decay is fitted
RATE = 3e-3  # of training
PLAIN = 0.3  # nats: a gain that stands out of the noise
NEVER = 2  # the template that is never used


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = random.Random(f"acquisition {seed}")
    facts = {of: [_fact(rng) for _ in range(EACH)] for of in SCHEDULES}
    met = [of for of in SCHEDULES if of != "never"]
    found: dict[str, Any] = {}
    start = reader(WIDTH, seed, READ).model
    for batch in BATCHES:
        trainer = Trainer(deepcopy(start), RATE)
        questions = {t: _Question([fact for these in facts.values() for fact in these], t) for t in (0, NEVER)}
        traces: dict[int, list[list[float]]] = {t: [] for t in questions}
        others = prose(f"others {seed}")
        for step in range(STEPS + 1):
            if step % EVERY == 0:
                for t, question in questions.items():
                    traces[t].append(question(trainer.model))
            new = [text for of, these in facts.items() for text in _met(of, these, step)]
            trainer.step(rows([*take(others, batch), *new]))
        found[str(batch)] = {f"{of} {t}": _read(of, trace) for of in met for t, trace in traces.items()}
    return found


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    small = figures[str(BATCHES[0])]
    jumps = {of: small[f"{of} 0"]["jump"] for of in ("once", "same words", "other words")}
    seeds = range(len(small["once 0"]["jump"]))
    fits = {of: [_decay(row, i) for i in seeds] for of, row in small.items()}
    r2 = {of: [fits[f"{of} 0"][i].r2 for i in seeds] for of in ("same words", "other words")}
    unseen = {of: small[f"{of} {NEVER}"] for of in ("same words", "other words")}
    batches = {f"batch {batch}": figures[str(batch)]["same words 0"] for batch in BATCHES}
    gained = {of: small[f"{of} 0"]["gain"] for of in ("every 12", "same words", "every 160")}
    claims = [
        Claim(
            "each exposure raises the log-probability of a fact at once",
            verdict(min(mean(of) for of in jumps.values()) > 0.3, min(mean(of) for of in jumps.values()) > 0.1),
            f"mean jump in nats: {listed(jumps)} (the higher of two readings, to which noise adds)",
        ),
        Claim(
            "afterwards what is left falls in a line with the logarithm of the steps",
            verdict(min(mean(of) for of in r2.values()) > 0.9, max(mean(of) for of in r2.values()) > 0.9),
            f"R²: {listed(r2)}",
        ),
        Claim(
            "facts met in the same words are forgotten faster than those met in other words",
            _slower(unseen["other words"], unseen["same words"]),
            f"in words never used, {_nats(unseen)}",
        ),
        Claim(
            "a larger batch forgets more slowly",
            _slower(batches[f"batch {BATCHES[1]}"], batches[f"batch {BATCHES[0]}"]),
            _nats(batches),
        ),
        Claim(
            "what comes again too rarely is not learned",
            verdict(mean(gained["every 160"]) < 0.25 * mean(gained["every 12"]) and mean(gained["every 12"]) > PLAIN),
            f"gain before the last exposure, in nats: {listed(gained)}",
        ),
    ]
    lines = {of: _trace(small[f"{of} 0"]) for of in SCHEDULES if of != "never"}
    lags = {
        f"{of}, {words}": {int(lag): row for lag, row in small[f"{of} {t}"]["left"].items()}
        for of in ("same words", "other words") for t, words in ((0, "as met"), (NEVER, "reworded"))
    }  # fmt: skip
    panels = [
        Panel(f"batch {BATCHES[0]}", "step", "gain in log-probability, nats", lines),
        Panel("after the last exposure", "steps", "gain left, nats", lags, log=True),
    ]
    return reported(claims, panels, means=MEANS)


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


def _fact(rng: random.Random) -> Fact:
    return Fact(name(rng, 3), rng.choice(("home", "work", "dish", "pet")), name(rng, 2), 0, 0)


def _met(of: str, facts: Sequence[Fact], step: int) -> list[str]:
    """Return the texts that state facts at a step; a fact in other words takes turns with two templates."""
    found = []
    for late, fact in enumerate(facts):
        if (first := step - EVERY * late) in SCHEDULES[of]:
            found.append(fact.statement(SCHEDULES[of].index(first) % 2 if of == "other words" else 0))
    return found


def _read(of: str, trace: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return what the log-probabilities of all facts say of those of a schedule, as means over its facts."""
    own, never = (list(SCHEDULES).index(name) * EACH for name in (of, "never"))
    met = SCHEDULES[of]

    def at(step: int) -> float:
        """Return the gain over facts never met, each fact by its own time."""
        rows = [(trace[step // EVERY + late], late) for late in range(EACH)]
        return mean([row[own + late] - mean(row[never : never + EACH]) for row, late in rows])

    before = [at(step) for step in met]
    peaks = [max(at(step + later) for later in range(EVERY, WINDOW + 1, EVERY)) for step in met]
    last = STEPS - EVERY * (EACH - 1)
    return {
        "jump": mean([high - low for high, low in zip(peaks, before, strict=True)]),
        "gain": before[-1] - before[0],
        "peak": peaks[-1] - before[0],
        "left": {str(lag): at(met[-1] + lag) - before[0] for lag in LAGS if met[-1] + lag <= last},
        "trace": {str(step): at(step) - before[0] for step in range(0, last + 1, 2 * EVERY)},
    }


def _decay(row: Mapping[str, Any], seed: int) -> Line:
    """Return the line of what is left by the logarithm of steps."""
    left = row["left"]
    return line([log(int(lag)) for lag in left], [of[seed] for of in left.values()])


def _slower(row: Mapping[str, Any], other: Mapping[str, Any]) -> Seen:
    """Return whether a schedule keeps a larger share of its gain than another; no, where there was hardly a gain to keep."""
    if min(mean(row["peak"]), mean(other["peak"])) < PLAIN:
        return "no"
    shares = [mean(of["left"][str(LAGS[-1])]) / mean(of["peak"]) for of in (row, other)]
    return verdict(shares[0] > shares[1] + 0.05)


def _nats(rows: Mapping[str, Any]) -> str:
    """Return the gains of schedules after the last exposure and later."""
    each = [f"{of}: {said(row['peak'])} and {said(row['left'][str(LAGS[-1])])}" for of, row in rows.items()]
    return f"gain in nats after the last exposure, and {LAGS[-1]} steps later: {'; '.join(each)}"


def _trace(row: Mapping[str, Any]) -> dict[int, list[float]]:
    return {int(at): values for at, values in row["trace"].items()}
