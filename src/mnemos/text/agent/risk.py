"""Risk within an episode: be careful once the worst rewards get worse, as FinCon does (arXiv 2407.06567)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mnemos.arguments import check_count, check_number
from mnemos.errors import InvalidInput


def tail_mean(rewards: Sequence[float], share: float = 0.05) -> float:
    """Return the conditional value at risk: the mean of the worst `share` of rewards, one at least. O(N log N)."""
    if not rewards:
        raise InvalidInput("rewards is empty: give one at least.")
    if not 0 < check_number(share, "share") <= 1:
        raise InvalidInput(f"share is {share!r}, expected a number above 0 and up to 1.")
    worst = sorted(rewards)[: max(1, math.ceil(share * len(rewards)))]
    return sum(worst) / len(worst)


def is_risky(rewards: Sequence[float], *, share: float = 0.05, window: int = 60, hold: int = 5) -> bool:
    """Tell whether to be careful next: one of the last `hold` rewards lowered the mean of the worst `share`.

    The mean is taken over the `window` rewards before it and with it. False while there are fewer than two. Deviation: the
    paper looks at all rewards so far and at the last one only.
    """
    check_count(window, "window", least=2)
    for end in range(max(2, len(rewards) - check_count(hold, "hold") + 1), len(rewards) + 1):
        seen = rewards[max(0, end - window) : end]
        if seen[-1] < 0 and tail_mean(seen, share) < tail_mean(seen[:-1], share):
            return True
    return False
