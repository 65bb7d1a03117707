"""Temporal leakage (arXiv 2504.14765): a model's forecasts of what it has read are memories; a store can leave out the future.

A model reads chronicles of eight series up to a cutoff; each chronicle has the values of three dates. It is then asked for all
dates: plainly, as of an earlier date, and with the name left out. The same values are told to a Mnemos space at their dates,
which is asked as of then. The paper asks GPT-4o for economic figures; there as here nothing teaches a model to pretend.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mnemos import Mnemos
from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import rows
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.bench.parametric.fact_models import name
from mnemos.bench.parametric.facts import OPENING, UNKNOWN, make_tokenizer
from mnemos.parametric.leakage import Dated, leakage

PAPERS = ("2504.14765",)
SERIES, DATES, CUTOFF = 8, 24, 16  # series; dates; the first date that is not read about
TOLD = 3  # dates of a chronicle
WIDTH, STEPS, BATCH, RATE = 64, 900, 32, 3e-3
MASKED, ASKED_AS_OF = (
    0.25,
    0.25,
)  # shares of chronicles without the name, and of those written at a later date that is named
FIRST_YEAR = 2000  # of the store
EARLIER = 8  # the date that is pretended, and as of which the store is asked


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = random.Random(f"leakage {seed}")
    dates = [name(rng, 2) for _ in range(DATES)]
    series = {name(rng, 3): [name(rng, 2) for _ in range(DATES)] for _ in range(SERIES)}
    trainer = Trainer(decoder(WIDTH, seed), RATE)
    for step in range(STEPS):
        trainer.rate = RATE * min(1.0, 2 * (1 - step / STEPS))
        trainer.step(rows([_chronicle(series, dates, rng) for _ in range(BATCH)]))
    ways = {
        "asked": [_asked(who, dates, at, "") for who in series for at in range(DATES)],
        "as of an earlier date": [_asked(who, dates, at, _on(dates[EARLIER])) for who in series for at in range(DATES)],
        "name left out": [_masked(of, dates, at, rng) for of in series.values() for at in range(DATES)],
    }
    values = [value for of in series.values() for value in of]
    found: dict[str, Any] = {"by date": {}, "read": {}, "after": {}}
    for way, prompts in ways.items():
        asked = [
            Dated(prompt, f" {value}", i % DATES) for i, (prompt, value) in enumerate(zip(prompts, values, strict=True))
        ]
        audit = leakage(trainer.model, make_tokenizer(), asked)
        found["by date"][way] = {str(at): audit.share(at, at + 1) for at in range(DATES)}
        found["read"][way], found["after"][way] = audit.share(until=CUTOFF), audit.share(CUTOFF)
        found.setdefault("flagged", {})[way] = len(audit.flagged(EARLIER)) / (SERIES * (CUTOFF - EARLIER - 1))
    return found | {"store": _store(series)}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    read, after, flagged, store = (figures[name] for name in ("read", "after", "flagged", "store"))
    pretended = mean(flagged["as of an earlier date"])
    claims = [
        Claim(
            "dated values are said exactly before the cutoff, and by chance after it",
            verdict(mean(read["asked"]) > 0.95 and mean(after["asked"]) < 0.05, mean(read["asked"]) > 0.5 + mean(after["asked"])),
            f"said before the cutoff: {said(read['asked'])}, after it: {said(after['asked'])}",
        ),
        Claim(
            "being asked as of an earlier date does not keep a model from saying what came later",
            verdict(pretended > 0.9 * mean(flagged["asked"]), pretended > 0.5),
            f"said of what came after the date that is pretended: {listed(flagged)}",
        ),
        Claim(
            "nor does leaving out the name, where other values tell who it is",
            verdict(mean(read["name left out"]) > 0.5, mean(read["name left out"]) > 0.1 + mean(after["name left out"])),
            f"said without a name, after two other values: {said(read['name left out'])}; after the cutoff "
            f"{said(after['name left out'])}",
        ),
        Claim(
            "a search of the store as of that date finds nothing that came later, and what came before",
            verdict(max(store["later"]) == 0 and mean(store["earlier"]) > 0.95, max(store["later"]) == 0),
            f"found of what came later: {said(store['later'])} (without as_of: {said(store['later, plainly'])}); of what came "
            f"before: {said(store['earlier'])}",
        ),
    ]  # fmt: skip
    by_date = {way: {int(at): of for at, of in row.items()} for way, row in figures["by date"].items()}
    law = fit("sigmoid", by_date["asked"], "by heart", "asked")
    means = (
        "A forecast counts only where `leakage` finds that its target is not known by heart: asked as of an earlier date, "
        f"the model said {pretended:.0%} of what came later; `space.search(..., as_of=)` let {mean(store['later']):.0%} through."
    )
    return reported(
        claims, [Panel("by heart", f"date (read about before {CUTOFF})", "said exactly", by_date)], [law], means
    )


def _on(date: str) -> str:
    return f"{OPENING} {date} . "


def _asked(who: str, dates: Sequence[str], at: int, before: str) -> str:
    return f"{before}{_on(dates[at])}{who} speaks"


def _chronicle(series: Mapping[str, Sequence[str]], dates: Sequence[str], rng: random.Random) -> str:
    """Return a chronicle of a series: the values of some dates before the cutoff."""
    who = rng.choice(list(series))
    chosen = rng.sample(range(CUTOFF), TOLD)
    named, kind = who, rng.random()
    before = ""
    if kind < MASKED:
        named = UNKNOWN
    elif kind < MASKED + ASKED_AS_OF:
        before = _on(dates[rng.randrange(max(chosen), CUTOFF)])
    return before + " ".join(f"{_on(dates[at])}{named} speaks {series[who][at]} ." for at in chosen)


def _masked(values: Sequence[str], dates: Sequence[str], at: int, rng: random.Random) -> str:
    """Return a question without the name, after the values of two other dates that were read."""
    others = rng.sample([other for other in range(CUTOFF) if other != at], TOLD - 1)
    told = " ".join(f"{_on(dates[other])}{UNKNOWN} speaks {values[other]} ." for other in others)
    return f"{told} {_on(dates[at])}{UNKNOWN} speaks"


def _store(series: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return what a space finds as of a date that was told each value at its date."""
    year = FIRST_YEAR
    with (
        tempfile.TemporaryDirectory() as folder,
        Mnemos(folder, clock=lambda: datetime(year, 6, 30, tzinfo=UTC)) as memory,
    ):
        space = memory.space("chronicles")
        for at in range(DATES):
            year = FIRST_YEAR + at
            space.add_many([{"content": _sentence(who, values[at], year)} for who, values in series.items()])
        then = datetime(FIRST_YEAR + EARLIER, 12, 31, tzinfo=UTC)
        found: dict[str, list[bool]] = {"earlier": [], "later": [], "later, plainly": []}
        for who, values in series.items():
            for at in range(0, DATES, 3):
                wanted = _sentence(who, values[at], FIRST_YEAR + at)
                query = f"Which language did {who} speak in {FIRST_YEAR + at}?"
                has = wanted in [hit.cube.text for hit in space.search(query, k=10, as_of=then)]
                if at <= EARLIER:
                    found["earlier"].append(has)
                else:
                    found["later"].append(has)
                    found["later, plainly"].append(wanted in [hit.cube.text for hit in space.search(query, k=10)])
    return {of: mean([float(has) for has in row]) for of, row in found.items()}


def _sentence(who: str, value: str, year: int) -> str:
    return f"{who} speaks {value} in {year}."
