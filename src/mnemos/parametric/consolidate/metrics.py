"""What a learner kept: every figure of the field, from one table of accuracies taken while it learned.

a[t][i] is the accuracy on task i once task t was learned; between the ends of tasks more accuracies may be taken, at any step.
Names and definitions are those of the survey arXiv 2302.00487 and of continual evaluation (arXiv 2205.13452); forgetting has
two definitions in use, and both are here under different names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean

from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Look:
    """Accuracies on all tasks at one step."""

    step: int
    learned: int  # tasks whose end was reached
    accuracies: tuple[float, ...]  # by task


@dataclass
class Accuracies:
    """Looks at a learner in the order of their steps."""

    tasks: int
    looks: list[Look] = field(default_factory=list)
    ends: list[Look] = field(default_factory=list)  # one for each task that was learned

    def look(self, step: int, accuracies: Sequence[float], end: bool = False) -> None:
        """Add the accuracies on all tasks at a step; `end` where a task has just been learned.

        Raises InvalidInput for a wrong number of accuracies, or more ends than tasks.
        """
        if len(accuracies) != self.tasks or (end and len(self.ends) == self.tasks):
            raise InvalidInput(f"there are {self.tasks} tasks: give {self.tasks} accuracies, and as many ends.")
        seen = Look(step, len(self.ends) + end, tuple(accuracies))
        self.looks.append(seen)
        if end:
            self.ends.append(seen)


@dataclass(frozen=True, slots=True)
class Kept:
    """The figures of one learner; shares from 0 to 1."""

    accuracy: float  # ACC: mean accuracy on all tasks at the end
    anytime: (
        float  # mean over ends of tasks of the mean accuracy on the tasks learned so far (average incremental accuracy)
    )
    learning: float  # mean of a[i][i]: what does not learn does not forget either
    forgetting: float  # mean over tasks but the last of (highest a[t][i] before the end) - a[T][i]
    backward: float  # BWT: mean over tasks but the last of a[T][i] - a[i][i]; below 0: forgotten since it was learned
    forward: float  # FWT: mean over tasks but the first of a[i-1][i] - (the accuracy before any learning)
    lowest: float  # min-ACC: mean over tasks but the last of the lowest accuracy at any look since it was learned
    worst_case: float  # WC-ACC: accuracy on the last task / T + (1 - 1/T) * min-ACC
    gap: float  # stability gap: mean over tasks but the last of a[i][i] - the lowest at any look while the next is learned
    windowed_forgetting: float  # WF: mean over tasks of the largest fall between two looks at most `window` apart
    windowed_plasticity: float  # WP: mean over tasks of the largest rise between such looks

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def kept(seen: Accuracies, before: Sequence[float] | None = None, window: int = 10) -> Kept:
    """Return all figures of a learner; `before` are the accuracies on all tasks before any learning (zeros if not given).

    `window` is in looks. Raises InvalidInput where not all tasks were learned.
    """
    if len(seen.ends) != seen.tasks:
        raise InvalidInput(f"{len(seen.ends)} of {seen.tasks} tasks were learned: measure at the end of the last.")
    a, count = [look.accuracies for look in seen.ends], seen.tasks
    last, old, start = a[-1], range(count - 1), before or [0.0] * count
    lowest = [min(look.accuracies[i] for look in seen.looks if look.learned > i) for i in range(count)]
    gaps = [a[i][i] - min(look.accuracies[i] for look in _during(seen, i + 1)) for i in old]
    falls, rises = zip(
        *(_moves([look.accuracies[i] for look in seen.looks], window) for i in range(count)), strict=True
    )
    least = _mean(lowest[i] for i in old)
    return Kept(
        accuracy=fmean(last),
        anytime=fmean(fmean(a[t][: t + 1]) for t in range(count)),
        learning=fmean(a[i][i] for i in range(count)),
        forgetting=_mean(max(a[t][i] for t in range(i, count - 1)) - last[i] for i in old),
        backward=_mean(last[i] - a[i][i] for i in old),
        forward=_mean(a[i - 1][i] - start[i] for i in range(1, count)),
        lowest=least,
        worst_case=last[-1] / count + (1 - 1 / count) * least,
        gap=_mean(gaps),
        windowed_forgetting=fmean(falls),
        windowed_plasticity=fmean(rises),
    )


def _during(seen: Accuracies, task: int) -> list[Look]:
    """Return the looks while a task was learned, its end included."""
    return [look for look in seen.looks if seen.ends[task - 1].step < look.step <= seen.ends[task].step]


def _moves(values: list[float], window: int) -> tuple[float, float]:
    """Return the largest fall and the largest rise between two values at most `window` apart."""
    pairs = [(a, b) for i, a in enumerate(values) for b in values[i + 1 : i + 1 + window]]
    return max((a - b for a, b in pairs if a > b), default=0.0), max((b - a for a, b in pairs if b > a), default=0.0)


def _mean(values: Iterable[float]) -> float:
    """Return the mean of floats; 0 of none."""
    found = list(values)
    return fmean(found) if found else 0.0
