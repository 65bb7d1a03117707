"""How long what was trained survives further training: a bound from the learning rate and the weight decay alone.

AdamW shrinks all weights by 1 - rate x decay in each step, and so what an earlier step added to them. Of an update at step s,

    prod over i in (s, t] of (1 - rate_i x decay)

is what is left at step t at most ("How much can we forget about Data Contamination?", arXiv 2410.03249); other updates write over
the rest, so that forgetting is faster. What has to be kept is to be rehearsed before that: `rehearse_at`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnemos.errors import InvalidInput


def survival(rates: Sequence[float], decay: float) -> list[float]:
    """Return the share of an update that is left at most after 0, 1, ... further steps, one more than there are rates.

    `rates` are the learning rates of the steps after it, and `decay` is the weight decay of AdamW (decoupled, as in
    `torch.optim.AdamW`). Raises InvalidInput where a step would turn weights around: rate x decay above 1, or below 0.
    """
    left = [1.0]
    for step, rate in enumerate(rates):
        if not 0 <= rate * decay <= 1:
            raise InvalidInput(
                f"rate x decay of step {step} is {rate * decay:g}: give a rate and a decay whose product is from 0 to 1."
            )
        left.append(left[-1] * (1 - rate * decay))
    return left


def rehearse_at(rates: Sequence[float], decay: float, least: float = 0.5) -> list[int]:
    """Return the steps before which something has to be rehearsed, so that no more than `least` of it can be lost by decay.

    A rehearsal counts as a new update. The list is empty where decay alone never takes that much within `rates`: then nothing
    is known of how long it lasts. Raises InvalidInput for a `least` that is not between 0 and 1, and as `survival` does.
    """
    if not 0 < least < 1:
        raise InvalidInput(f"least is {least}: give the share that has to be left, between 0 and 1, such as 0.5.")
    curve, last, found = survival(rates, decay), 1.0, []
    for step, left in enumerate(curve[1:]):
        if left < least * last:
            found.append(step)
            last = curve[step]
    return found
