"""Capacity density: how large a reference model would have to be to be as good, per parameter that a model has.

Reference models of several sizes give two curves: their loss by size, which is a power law down to a floor that no model gets
below, and their score on tasks by their loss, which is a sigmoid. Both are turned around: the score of another model gives the
loss, and that the size of a reference model of the same score. Divided by the parameters that the model has it is its density
("Densing Law of LLMs", arXiv 2412.04315): 1 for another reference model, less for one that was damaged, more for one that is
better made. A model with a memory, a rounded one and an edited one are compared by one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from mnemos.errors import InvalidInput
from mnemos.parametric.forgetting import Line, line


@dataclass(frozen=True, slots=True)
class Reference:
    """The two curves of reference models."""

    floor: float  # loss that no model gets below
    size: Line  # of the logarithm of loss - floor, by the logarithm of parameters
    score: Line  # of the logit of the score, by the logarithm of loss - floor
    chance: float  # score of a model that knows nothing

    def loss(self, parameters: float) -> float:
        """Return the loss of a reference model of a size."""
        return self.floor + exp(self.size(log(parameters)))

    def expected(self, loss: float) -> float:
        """Return the score of a reference model of a loss."""
        return self.chance + (1 - self.chance) / (1 + exp(-self.score(log(loss - self.floor))))

    def parameters(self, score: float) -> float:
        """Return the size of a reference model of this score. Raises InvalidInput where none has it."""
        excess = (_logit(score, self.chance) - self.score.start) / self.score.slope
        return exp((excess - self.size.start) / self.size.slope)

    def density(self, score: float, parameters: float) -> float:
        """Return the density of a model of this score and size."""
        return self.parameters(score) / parameters


def reference(
    parameters: Sequence[float],
    losses: Sequence[float],
    scores: Sequence[float],
    floor: float = 0.0,
    chance: float = 0.0,
) -> Reference:
    """Return the curves of models of these sizes, losses in nats and scores, by least squares.

    Raises InvalidInput for fewer than three models, a loss at or below `floor`, or a score that is not between `chance` and 1.
    """
    if not len(parameters) == len(losses) == len(scores) >= 3:
        raise InvalidInput(
            f"there are {len(parameters)} sizes, {len(losses)} losses and {len(scores)} scores: give three models or more."
        )
    if min(losses) <= floor:
        raise InvalidInput(f"a loss is {min(losses):g}, not above the floor of {floor:g}: give a lower floor.")
    excess = [log(loss - floor) for loss in losses]
    by_size = line([log(n) for n in parameters], excess)
    return Reference(floor, by_size, line(excess, [_logit(score, chance) for score in scores]), chance)


def _logit(score: float, chance: float) -> float:
    if not chance < score < 1:
        raise InvalidInput(
            f"a score is {score:g}: a density needs one between chance ({chance:g}) and 1; ask more or harder questions."
        )
    share = (score - chance) / (1 - chance)
    return log(share / (1 - share))
