"""What an outer-product memory will read right before it is filled, and how many items to admit.

P items stored alike   d width of random unit keys   M outputs   p(x) probability that x is asked for
"""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import numpy as np

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

PAPER = Paper("Scaling Laws for Associative Memories", "2310.02984")
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def misread(items: int, width: int, outputs: int) -> float:
    """Return the probability that a stored item is read wrong, of `items` stored alike under random unit keys of a width.

    The items of an output, without the one that is read, add a normal number of variance 1 / width each to its score.
    """
    if min(items, width) < 1 or outputs < 2:
        raise InvalidInput(f"{items} items, width {width}, {outputs} outputs: give at least 1, 1 and 2.")
    own = sqrt(max(items / outputs - 1, 0) / width)
    other = sqrt((items / outputs + 1) / width)  # and embeddings of outputs are not quite at right angles
    below = np.array([(1 + erf((1 + own * z) / (other * sqrt(2)))) / 2 for z in _NODES])
    return float(1 - (_WEIGHTS * below ** (outputs - 1)).sum() / _WEIGHTS.sum())


def expected_error(asked: Any, items: int, width: int, outputs: int) -> float:
    """Return the probability of a wrong read where the first `items` of `asked` (N,), probabilities, are stored alike.

    What is not stored is read right by chance, once in `outputs` times.
    """
    p = np.asarray(asked, float)
    stored = float(p[:items].sum())
    return stored * misread(items, width, outputs) + (float(p.sum()) - stored) * (1 - 1 / outputs)


@register(
    "admission",
    papers=(PAPER,),
    task="associative",
)
def admitted(
    asked: Any,  # probability of each item (N,), the most frequent first
    width: int,  # of the keys
    outputs: int,  # that are told apart
) -> int:
    """Return how many of the most frequent items to store alike: those with the least `expected_error`. O(log N) sizes.

    Storing by frequency instead spends the memory on the few items that it reads right anyway (arXiv 2310.02984).
    """
    sizes = sorted({min(len(asked), max(1, round(1.1**i))) for i in range(200)})
    return min(sizes, key=lambda items: expected_error(asked, items, width, outputs))
