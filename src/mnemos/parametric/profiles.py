"""Memorisation profiles: how strongly a model memorised what it met at each time, and for how long.

The effect of a text on how well a model says it cannot be read off one model: it also learned from others. It is estimated by
difference in differences ("Causal Estimation of Memorisation Profiles", arXiv 2406.04327): of texts met between checkpoint
g - 1 and g, and of texts that are never met, how their mean log-likelihood changed since g - 1,

    tau[g, c] = (Y_c(g) - Y_{g-1}(g)) - (Y_c(never) - Y_{g-1}(never)).

It holds where both kinds of text would have changed alike; that tau is 0 before g is a test of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Profile:
    """The estimated effect of meeting texts, by the checkpoint that came after they were met."""

    effects: Mapping[int, tuple[float, ...]]  # tau of each checkpoint, by g

    @property
    def instantaneous(self) -> dict[int, float]:
        """The effect at the first checkpoint after a group was met."""
        return {g: of[g] for g, of in self.effects.items()}

    @property
    def residual(self) -> dict[int, float]:
        """The effect at the last checkpoint."""
        return {g: of[-1] for g, of in self.effects.items()}

    def persistent(self, later: int) -> dict[int, float]:
        """Return the effect `later` checkpoints after the first one, of the groups that have one."""
        return {g: of[g + later] for g, of in self.effects.items() if g + later < len(of)}

    @property
    def placebo(self) -> dict[int, tuple[float, ...]]:
        """The effects at checkpoints before a group was met, which have to be 0 within the error."""
        return {g: of[: g - 1] for g, of in self.effects.items()}


def profile(met: Mapping[int, Sequence[float]], never: Sequence[float]) -> Profile:
    """Return the profile of a model from mean log-likelihoods at its checkpoints, the first of which is the start.

    `met` has those of texts that were first met between checkpoints g - 1 and g, by g; `never` those of texts of the same
    kind that were not. Raises InvalidInput for lengths that differ, and a g that has no checkpoint before it.
    """
    for g, of in met.items():
        if len(of) != len(never):
            raise InvalidInput(
                f"group {g} has {len(of)} checkpoints and the texts never met {len(never)}: give the same."
            )
        if not 1 <= g < len(never):
            raise InvalidInput(
                f"a group is of checkpoint {g}: give 1 to {len(never) - 1}, as one has to come before it."
            )
    return Profile({
        g: tuple((of[c] - of[g - 1]) - (never[c] - never[g - 1]) for c in range(len(never))) for g, of in met.items()
    })  # fmt: skip
