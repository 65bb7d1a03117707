"""Whether two arms differ on the same questions: McNemar's exact test, corrected for the number of pairs by Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return the two-sided exact p of paired right and wrong answers: 1 where they differ on no question."""
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    n, few = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(comb(n, i) for i in range(few + 1)) / 2**n) if n else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979), in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected, most = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = most
    return corrected


def compare_all(answers: Mapping[str, Sequence[bool]]) -> list[dict[str, object]]:
    """Return every pair of arms with the questions that one alone answers, p, and p corrected."""
    pairs = list(combinations(answers, 2))
    values = [mcnemar(answers[a], answers[b]) for a, b in pairs]
    rows: list[dict[str, object]] = []
    for (a, b), p, corrected in zip(pairs, values, holm(values), strict=True):
        only = [
            sum(x and not y for x, y in zip(answers[one], answers[two], strict=True)) for one, two in ((a, b), (b, a))
        ]
        rows.append(
            {"pair": f"{a} / {b}", "only_first": only[0], "only_second": only[1], "p": p, "corrected": corrected}
        )
    return rows
