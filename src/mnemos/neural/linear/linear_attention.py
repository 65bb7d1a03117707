"""Linear attention: every token adds its key and value to a sum."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mnemos.neural.base import State
from mnemos.neural.linear.matrix import MatrixMemory
from mnemos.registry import Paper, register


@register(
    "linear-attention",
    papers=(
        Paper("Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention", "2006.16236"),
        Paper(
            "SANA-Video: Efficient Video Generation with Block Linear Diffusion Transformer",
            "2509.24695",
            "NVlabs/Sana",
        ),
    ),
    task="mqar",
)
class LinearAttention(MatrixMemory):
    """Adds keys times values to a matrix, and never takes anything away (arXiv 2006.16236).

    S_t = S_{t-1} + phi(k_t) v_t', z_t = z_{t-1} + phi(k_t), y_t = S_t' phi(q_t) / z_t' phi(q_t), phi = elu + 1.
    Departure: the output is normed and gated, as in all layers of this room, so that they differ in their memory alone.
    """

    normalised = True

    def features(self, x: Tensor) -> Tensor:
        """Return elu + 1: positive features."""
        return F.elu(x) + 1

    def read_block(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return outputs (B, T, D) of a block whose tokens see all of it and the blocks before, and the state after it.

        Streams of blocks, such as the frames of a video, are read so: the state is a sum of constant size, whatever the
        number of blocks (arXiv 2509.24695, SANA-Video).
        """
        parts = self.parts(x, state, None)
        memory = state["memory"] + parts.k.transpose(-1, -2) @ parts.v
        return self.answer(parts.q @ memory, x), {"memory": memory}

    def merge(self, earlier: State, later: State) -> State:
        """Return the sum: the order of texts does not matter to this memory."""
        return {"memory": earlier["memory"] + later["memory"]}
