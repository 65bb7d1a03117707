"""Memformer: segments of a text read and write a few slots, and train by replaying one segment at a time.

B texts   L tokens of a segment   D channels   N slots   S segments
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.slots.segment import SlotSegment
from mnemos.registry import Paper, register

PAPERS = (Paper("Memformer: A Memory-Augmented Transformer for Sequence Modeling", "2010.06891", "qywu/memformers"),)


@register("memformer", papers=PAPERS, task="slot-readers")
class Memformer(SlotSegment):
    """Reads a segment with slots before it, and rewrites each slot by attention to itself and the segment (arXiv 2010.06891).

    Tokens attend to earlier tokens of their segment and to the slots; a feed-forward layer; then each slot attends,
    with a temperature, to itself and to the tokens. Forgetting: m <- (m + v) / |m + v| with a learned bias v, so what
    is not written again fades. A segment costs O(L^2 D + L N D). The state is N D numbers, however many segments there
    were. Departure: one layer, so one read and one write.
    """

    def __init__(
        self,
        width: int,  # D
        slots: int = 8,  # N; 0: no memory
        heads: int = 2,  # of attention
        temperature: float = 0.25,  # of what slots attend to
        length: int = 128,  # tokens of a segment, at most
    ) -> None:
        super().__init__(width, slots, heads, length)
        if temperature <= 0:
            raise InvalidInput(f"temperature is {temperature}: give a positive number.")
        self.temperature = temperature
        self.begin, self.bias = nn.Parameter(torch.randn(slots, width)), nn.Parameter(torch.randn(slots, width) * 0.02)

    def init_state(self, batch: int) -> Tensor:
        """Return the slots (B, N, D) before the first segment."""
        return F.normalize(self.begin, dim=-1).expand(batch, -1, -1)

    def write(self, x: Tensor, slots: Tensor) -> Tensor:
        """Return the slots after a segment: each keeps itself or takes from the tokens, then fades a little."""
        own, seen = self.attended(x, slots, self.temperature)
        return F.normalize(own * slots + seen + self.bias, dim=-1)


Step = Callable[[Any, Tensor], tuple[Tensor, Tensor]]  # a segment and a state -> its loss and the state after it


@register("memory-replay", papers=PAPERS, task="slot-readers")
def replay(
    step: Step,  # reads a segment after a state, and returns its loss and the state after it
    segments: Sequence[Any],  # what `step` reads, in order
    state: Tensor,  # before the first one
) -> Tensor:
    """Add the gradients of the losses of all segments to the weights, with one segment in memory at a time; return the sum.

    Memory-replay back-propagation (arXiv 2010.06891): segments are read once without gradients and only the state
    before each is kept; then, from the last to the first, a segment is read again, and the gradient of the state after
    it, which the later segment gave, goes on through it. Equal to back-propagation through the whole text; costs one
    more forward. Where `state` is made of weights, they get their gradients too.
    """
    if not segments:
        raise InvalidInput("there are no segments: give at least one.")
    states = [state.detach()]
    with torch.no_grad():
        for segment in segments[:-1]:
            states.append(step(segment, states[-1])[1])
    total, later = torch.zeros(()), None
    for segment, before in zip(reversed(segments), reversed(states), strict=True):
        start = before.detach().requires_grad_()
        loss, after = step(segment, start)
        torch.autograd.backward([loss] if later is None else [loss, after], [None] if later is None else [None, later])
        total, later = total + loss.detach(), start.grad
    if state.requires_grad and later is not None:
        state.backward(later)
    return total
