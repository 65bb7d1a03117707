"""HMT: a segment asks the memories of earlier segments for the one that it goes on from.

B texts   L tokens of a segment   D channels   N memories   S sensory tokens
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.slots.segment import SlotSegment
from mnemos.registry import Paper, register


@register(
    "hmt",
    papers=(
        Paper(
            "HMT: Hierarchical Memory Transformer for Long Context Language Processing",
            "2405.06067",
            "OswaldHe/HMT-pytorch",
        ),
    ),
    task="slot-readers",
)
class HierarchicalSegments(nn.Module):  # type: ignore[misc]
    """Reads a segment behind the memory that it retrieves, and adds one memory of it to a queue (arXiv 2405.06067).

    The first half of a segment and a summary prompt go through the layer; what comes out at the prompt attends to the
    queue, r = softmax(q W (M W')^T) M. Then [r, last S tokens of the segment before, segment, prompt] go through the
    same layer, and what comes out at the prompt is the new memory. Without `retrieve` r is the newest memory: the
    recurrence of RMT (arXiv 2207.06881) with one token. A segment costs O((L + S)^2 D + N D). The state is (N + S) D
    numbers; rows of zeros are not there yet. Departure: one causal layer stands for the pretrained model. A token of the
    first half can learn of a later one which memory was chosen, so only losses of the second half are those of a
    prediction.
    """

    def __init__(
        self,
        width: int,  # D
        memories: int = 8,  # N, of the queue
        sensory: int = 2,  # S, tokens of the segment before
        heads: int = 2,  # of attention
        length: int = 128,  # tokens of a segment, at most
        retrieve: bool = True,  # or take the newest memory
    ) -> None:
        super().__init__()
        if memories < 1 or sensory < 0:
            raise InvalidInput(f"memories is {memories}, sensory {sensory}: give at least one memory.")
        self.memories, self.sensory, self.retrieve = memories, sensory, retrieve
        self.layer = SlotSegment(width, 0, heads, length + sensory + 2)
        self.prompt = nn.Parameter(torch.randn(1, width))
        self.ask, self.key = nn.Linear(width, width), nn.Linear(width, width)

    def init_state(self, batch: int) -> Tensor:
        """Return a queue without memories, (B, N + S, D)."""
        return self.prompt.new_zeros(batch, self.memories + self.sensory, self.prompt.shape[1])

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is made of a segment (B, L, D) after a state (B, N + S, D), and the state after it."""
        queue, before = state[:, : self.memories], state[:, self.memories :]
        prompt = self.prompt.expand(len(x), 1, -1)
        read = torch.einsum("bn,bnd->bd", self.weights(x, queue), queue) if self.retrieve else queue[:, -1]
        y = self.layer(torch.cat([read[:, None], before, x, prompt], 1), state)[0]
        latest = torch.cat([before, x], 1)[:, x.shape[1] :]
        return y[:, 1 + self.sensory : -1], torch.cat([queue[:, 1:], y[:, -1:], latest], 1)

    def weights(self, x: Tensor, queue: Tensor) -> Tensor:
        """Return how much a segment (B, L, D) takes of each memory of a queue (B, N, D), (B, N); 0 of what is not there."""
        prompt = self.prompt.expand(len(x), 1, -1)
        query = self.layer(torch.cat([x[:, : (x.shape[1] + 1) // 2], prompt], 1), queue)[0][:, -1]
        there = queue.abs().sum(-1) > 0
        scores = torch.einsum("bd,bnd->bn", self.ask(query), self.key(queue)) / query.shape[1] ** 0.5
        return scores.masked_fill(~there, -1e9).softmax(-1) * there
