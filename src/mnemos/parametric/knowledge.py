"""Knowledge in bits: how much of a list of facts a model provably holds, by its losses on them.

A model that says a value with loss p, where any of D values was as likely, holds at least log2 D - p / ln 2 bits of it. Over N
items with a name each, of N0 possible ones, and K values ("Physics of Language Models: Part 3.3, Knowledge Capacity Scaling
Laws", arXiv 2404.05405):

    bits = N max(0, log2 N0 - p_name / ln 2) + N sum_k max(0, log2 D_k - p_k / ln 2).

A list has no order, so that a model that knows every name still has a loss of ln N on them. Divided by the number of
parameters it is the capacity ratio: about 2 after 1,000 exposures of each item, 1 after 100. So weights have a budget: what
answers tell that a model does not know (`missing_bits`) can fill them at 1 to 2 bits a parameter (`filled`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example

BITS = 1.0  # that a parameter holds after about 100 exposures: what a memory is trained for


def knowledge_bits(
    items: int, names: float, name_loss: float, values: Sequence[float], value_losses: Sequence[float]
) -> float:
    """Return the bits that a model holds of `items` items.

    `names` is how many names there could be, `name_loss` the mean loss of a whole name in nats; `values` how many values each
    attribute could have, and `value_losses` the mean loss of each. Raises InvalidInput for numbers that make no sense.
    """
    if len(values) != len(value_losses):
        raise InvalidInput(f"there are {len(values)} attributes and {len(value_losses)} losses: give one for each.")
    if items < 1 or min(names, *values) < 1 or min(name_loss, *value_losses) < 0:
        raise InvalidInput("items, names and values are counts of 1 or more, and losses are 0 or more.")
    held = [
        max(0.0, log(n) - loss) / log(2) for n, loss in zip((names, *values), (name_loss, *value_losses), strict=True)
    ]
    return items * sum(held)


def missing_bits(model: Any, tokenizer: Any, examples: Sequence[Example]) -> float:
    """Return what answers tell that a model does not know: their loss after their prompts, in bits, each answer once.

    What is attached counts. An answer that follows from others is counted as if it did not, so that it is an upper bound.
    """
    import torch

    from mnemos.parametric.answers import batches, encode, token_losses

    coded = [
        encode(tokenizer, Example(prompt, answer))
        for prompt, answer in dict.fromkeys((e.prompt, e.answer) for e in examples)
    ]
    with torch.no_grad():
        nats = sum(float(token_losses(model, part)[0].sum()) for part in batches(coded, 4))
    return nats / log(2)


def filled(bits: float, parameters: int, held: float = BITS) -> float:
    """Return which share of weights this many bits fill, where a parameter holds `held`; above 1 they do not fit.

    Raises InvalidInput for a number that is not positive.
    """
    if bits < 0 or parameters < 1 or held <= 0:
        raise InvalidInput(
            f"bits is {bits:g}, parameters {parameters} and held {held:g}: give 0 or more, and positive numbers."
        )
    return bits / (held * parameters)
