"""Atlas: a memory that learns from a window of tokens at each step, by an optimiser that uses second-order structure."""

from __future__ import annotations

from typing import Literal

from mnemos.neural.testtime.learner import Learner
from mnemos.neural.testtime.rule import Rule
from mnemos.registry import Paper, register


@register(
    "atlas",
    papers=(Paper("ATLAS: Learning to Optimally Memorize the Context at Test Time", "2505.23735"),),
    task="testtime",
    baselines=("titans", "linear-attention", "attention"),
)
class Atlas(Learner):
    """Trains its memory on the last c tokens at each step, by orthogonalised momentum, over products (arXiv 2505.23735).

    S_t = eta_t S_{t-1} - sum_{t-c < i <= t} gamma_i grad |M(phi(k_i)) - v_i|^2 / 2, M_t = (1 - alpha_t) M_{t-1} + theta_t
    NS(S_t), NS five steps of Newton and Schulz (Muon), phi all products of up to two channels. gamma of the token itself is 1.
    With c = 1, `degree` 1 and the optimiser 'momentum' it is Titans, exactly.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels before the products; 8, or less in a narrow layer, if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory
        memory: Literal["matrix", "mlp"] = "matrix",  # the architecture
        window: int = 4,  # c, tokens of the Omega rule
        degree: int = 2,  # of the products; 1: the key itself
        optimiser: Literal["momentum", "muon"] = "muon",  # inside
    ) -> None:
        rule = Rule(memory, optimiser=optimiser, window=window)
        rate = 0.2 if optimiser == "muon" else None  # an orthogonal step has the length of the memory
        super().__init__(
            width, rule, heads, key or min(8, width // max(heads, 1)), value, chunk, degree=degree, rate=rate
        )
