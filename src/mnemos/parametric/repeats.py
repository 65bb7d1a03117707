"""Repeated data: whether a training schedule repeats some texts in the range that does most damage.

Of texts that are repeated a few times little is memorised; few texts repeated very often are memorised cheaply. Between them
memorising takes up a good part of the model: held-out loss rises, and copying from the context suffers first ("Scaling Laws
and Interpretability of Learning from Repeated Data", arXiv 2205.10487: 0.1 % of the data, 100 times, made a model of 800 M
parameters as good as one of 400 M). `damage` compares what the repeated texts hold with what the weights can hold, 2 bits a
parameter (arXiv 2404.05405). By its numbers the paper's case fills a fifth of the model.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.errors import InvalidInput

BITS = 2.0  # that a parameter can hold
TIMES = 10.0  # repeated more often than this, texts begin to be memorised
LEAST, MOST = 0.02, 2.0  # of the model that repeated texts would fill: below it is cheap, above it cannot be done


@dataclass(frozen=True, slots=True)
class Repeated:
    """What a schedule repeats."""

    times: float  # that a repeated text is met
    share: float  # of the tokens of the training that are repeats
    filled: float  # bits of the repeated texts, as a share of what the weights can hold
    harmful: bool  # whether it is in the range that does most damage
    why: str  # in a sentence


def damage(
    repeated: float, times: float, unique: float, parameters: float, bits: float = 4.3, least_share: float = 0.03
) -> Repeated:
    """Return whether repeating texts of `repeated` tokens `times` times beside `unique` tokens met once is harmful.

    `parameters` are those that are trained. `bits` is the information of a token: the loss of new text, in bits (a loss of 3 nats
    is 4.3). Below `least_share` of the training repeats do not matter. Raises InvalidInput for numbers that make no sense.
    """
    if repeated < 0 or unique < 0 or not repeated + unique:
        raise InvalidInput(f"{repeated} repeated and {unique} unique tokens: give 0 or more, and at least one.")
    if times < 1 or parameters <= 0 or bits <= 0:
        raise InvalidInput(
            f"times is {times}, parameters {parameters}, bits {bits}: give 1 or more, and positive numbers."
        )
    share = repeated * times / (repeated * times + unique)
    filled = repeated * bits / (BITS * parameters)
    if times < TIMES or share < least_share:
        harmful, why = (
            False,
            f"texts are met {times:g} times, in {share:.0%} of the training: little of them is memorised.",
        )
    elif filled < LEAST:
        harmful, why = False, f"what is repeated would fill {filled:.1%} of the model: memorising it is cheap."
    elif filled > MOST:
        harmful, why = False, f"what is repeated is {filled:.0%} of what the model can hold: most cannot be memorised."
    else:
        harmful, why = (
            True,
            (
                f"memorising what is repeated would fill {filled:.0%} of the model, at the cost of the rest: repeat more texts "
                f"fewer times, or replay below {least_share:.0%} of the training."
            ),
        )
    return Repeated(times, share, filled, harmful, why)
