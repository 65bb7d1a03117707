"""Which form a memory should have: text, keys and values, or weights, by its use, its cost and its risk. No torch.

Text costs a prefill at every recall, keys and values cost disk and a load, weights cost a training once. So what is
recalled once stays text; what is recalled often becomes keys and values; what is recalled for long, and does not change,
becomes weights. All moves down are free: the text is always there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mnemos.errors import InvalidInput
from mnemos.migrate.schedule import use_rate

MemoryForm = Literal["text", "kv", "weights"]
FORMS: tuple[MemoryForm, ...] = ("text", "kv", "weights")
GB = 1e9
DISK = 14.0  # seconds a gigabyte and day: a disk of 80 a terabyte beside a computer of 500, both for five years


@dataclass(frozen=True, slots=True)
class FormCosts:
    """What forms cost with a model on a machine, in seconds of it. `mnemos bench forms` measures them."""

    prefill: float  # seconds to read a token
    kv_bytes: float  # bytes of keys and values a token
    load: float  # seconds to load a byte of them
    train: float  # seconds of training, and measuring, a fact
    weight_bytes: float  # bytes of the weights of a memory
    attach: float  # seconds a recall to answer with weights attached
    behind: float = 0.0  # seconds a recall to answer behind a token of text, or of keys and values
    missed: float = 0.0  # share of answers that weights do not have, which the text then gives
    failed: float = 0.0  # share of trainings that the gate refuses
    disk: float = DISK  # seconds that a gigabyte is worth for a day

    def of_recall(self, form: MemoryForm, tokens: int) -> float:
        """Return the seconds of a recall."""
        read = tokens * (self.prefill + self.behind)
        if form == "text":
            return read
        if form == "kv":
            return tokens * (self.kv_bytes * self.load + self.behind)
        return self.attach + self.missed * read

    def of_day(self, form: MemoryForm, tokens: int) -> float:
        """Return the seconds that a day on the disk is worth, beside the text."""
        held = {"text": 0.0, "kv": tokens * self.kv_bytes, "weights": self.weight_bytes}[form]
        return held / GB * self.disk

    def of_move(self, form: MemoryForm, tokens: int, facts: int) -> float:
        """Return the seconds until a text has a form: a prefill, or a training."""
        if form == "kv":
            return tokens * self.prefill
        return facts * self.train if form == "weights" else 0.0


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What is known of a memory. Times are in days."""

    tokens: int
    facts: int  # that it states
    recalls: int
    age: float  # since it was written
    idle: float  # since it was last recalled, or written
    changes: int = 0  # versions after the first
    settled: float = math.inf  # days since the last change; inf: it never changed
    form: MemoryForm = "text"  # that it has now
    read: bool = False  # whether a model has just read it, so that to keep keys and values costs no prefill
    private: bool = False
    forget_in: float = math.inf  # until it will be forgotten, as far as is known
    refused: bool = False  # the gate refused it as it is now


@dataclass(frozen=True, slots=True)
class FormChoice:
    """What form a memory should have, what each would cost over the days ahead, and why."""

    form: MemoryForm
    costs: Mapping[MemoryForm, float]  # seconds; forms that are out of question are left out
    reason: str


@dataclass(frozen=True)
class FormSchedule:
    """Chooses the form that costs least over the days for which the present use is likely to go on.

    How long that is follows from how long it has gone on, and from how often the memory has changed. The fitted numbers
    are those of `mnemos bench forms`: fitted on seeds that are not reported.
    """

    half_life: float = 60.0  # days since the last recall after which half of the use is expected, at most
    patience: float = 2.0  # ... and as a multiple of the mean days between recalls
    again: float = 0.15  # recalls on the day after a recall; fewer on later ones, as 1 / (1 + days)
    ahead: float = 1.0  # days that use goes on for each day that it has gone on
    most: float = 120.0  # days looked ahead at most
    margin: float = 0.1  # share that weights have to save of what it costs to stay
    soon: float = 30.0  # days; what will be forgotten sooner never becomes weights
    changes: int = 3  # what has changed as often never becomes weights until it has been settled for `calm` days
    calm: float = 60.0

    def __post_init__(self) -> None:
        if min(self.half_life, self.ahead, self.most) <= 0 or self.margin < 0:
            raise InvalidInput(f"{self}: half_life, ahead and most have to be above 0, and margin not below.")

    def forbidden(self, use: MemoryUse) -> str:
        """Return why a memory must not become weights; "" where it may."""
        if use.private:
            return "it is private: weights cannot be quoted or marked"
        if use.forget_in < self.soon:
            return f"it will be forgotten in {use.forget_in:.0f} days"
        if use.changes >= self.changes and use.settled < self.calm:
            return f"it changed {use.changes} times, last {use.settled:.0f} days ago"
        return "the gate refused it" if use.refused else ""

    def choose(self, use: MemoryUse, costs: FormCosts) -> FormChoice:
        """Return the form that a memory should have from now on."""
        never, days = self.forbidden(use), self.days_ahead(use)
        rate = use_rate(use.recalls, use.age, use.idle, self._half_life(use))
        known = {form: _cost(use, costs, form, rate, days) for form in FORMS if form != "weights" or not never}
        best = min(known, key=lambda form: known[form])
        if best != "weights":  # keys and values are cheap to make and to leave: what counts is tomorrow
            soon = max(rate, self.again / (1 + use.idle)) if use.recalls else rate
            best = min(FORMS[:2], key=lambda form: _cost(use, costs, form, soon, days))
        now = use.form if use.form in known else "text"
        if best == "weights" and known[best] > (1 - self.margin) * known[now]:
            best = now
        return FormChoice(best, known, _reason(use, best, rate, days, known, never))

    def _half_life(self, use: MemoryUse) -> float:
        """Return the days after which half of the use is expected: what is recalled daily is over after a silent week."""
        gap = max(use.age - use.idle, 1.0) / max(use.recalls, 1)
        return min(self.half_life, max(1.0, self.patience * gap))

    def days_ahead(self, use: MemoryUse) -> float:
        """Return for how many days the present use is likely to go on with the present text."""
        gone_on = max(use.age - use.idle, 1.0)
        days = min(self.ahead * gone_on, self.most, use.forget_in)
        changing = use.changes / max(use.age, 1.0)
        return days if changing == 0 else -math.expm1(-changing * days) / changing


def _cost(use: MemoryUse, costs: FormCosts, form: MemoryForm, rate: float, days: float) -> float:
    """Return the seconds of a form over the days ahead, the move to it included."""
    free = form == use.form or (form == "kv" and use.read)
    once = 0.0 if free else costs.of_move(form, use.tokens, use.facts)
    once /= max(1.0 - costs.failed, 1e-6) if form == "weights" else 1.0
    return once + days * (rate * costs.of_recall(form, use.tokens) + costs.of_day(form, use.tokens))


def _reason(
    use: MemoryUse, best: MemoryForm, rate: float, days: float, known: Mapping[MemoryForm, float], never: str
) -> str:
    said = f"{rate:.2g} recalls a day, {days:.0f} days ahead: "
    said += ", ".join(f"{form} {seconds:.3g} s" for form, seconds in known.items())
    if never and use.form == "weights":
        return f"no longer weights, as {never}; {said}"
    return f"{said}; never weights, as {never}" if never and best != "text" else said
