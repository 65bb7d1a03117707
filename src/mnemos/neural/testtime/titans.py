"""Titans: a deep memory that learns with momentum and forgets."""

from __future__ import annotations

from typing import Literal

from mnemos.neural.testtime.learner import Learner
from mnemos.neural.testtime.rule import Rule
from mnemos.registry import Paper, register


@register(
    "titans",
    papers=(Paper("Titans: Learning to Memorize at Test Time", "2501.00663"),),
    task="testtime",
    baselines=("linear-attention", "attention", "ttt"),
)
class Titans(Learner):
    """Trains a small network on each token's key and value, with momentum and a gate that forgets (arXiv 2501.00663).

    S_t = eta_t S_{t-1} - theta_t grad |M_{t-1}(k_t) - v_t|^2 / 2, M_t = (1 - alpha_t) M_{t-1} + S_t, y_t = M_t(q_t). M is
    W2 gelu(W1 k). Departures: M_t is what was learned since a beginning that is a parameter and is added to it, so that
    a memory that forgets goes back to it (a deep one that goes to 0 learns no more: its gradient is 0 there); an output
    norm and gate as in all layers with a matrix memory; no residual in M. With windows of attention: `titans-hybrid`.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory
        memory: Literal["matrix", "mlp"] = "mlp",  # the architecture
        inner: int | None = None,  # channels inside an mlp; 2 K if nothing is said
        momentum: bool = True,  # whether surprise lasts; without, an ablation
        forget: bool = True,  # whether a token chooses how much is forgotten; without, an ablation
        rate: float | None = None,  # the longest step; 1 for a matrix and 0.1 for an mlp if nothing is said
    ) -> None:
        rule = Rule(memory, optimiser="momentum" if momentum else "gradient", forget=forget)
        super().__init__(width, rule, heads, key, value, chunk, inner, rate=rate)


TTT_PAPER = Paper(
    "Learning to (Learn at Test Time): RNNs with Expressive Hidden States",
    "2407.04620",
    "test-time-training/ttt-lm-pytorch",
)


@register(
    "ttt",
    papers=(TTT_PAPER,),
    task="testtime",
    baselines=("linear-attention", "delta-net"),
)
class TTT(Learner):
    """Trains a memory by one step of gradient descent a token, from a learned beginning (arXiv 2407.04620, TTT).

    W_t = W_{t-1} - theta_t grad |W_chunk(k_t) - v_t|^2 / 2, y_t = W_t(q_t). Departure: no norm inside the loss.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory; the paper's mini-batch
        memory: Literal["matrix", "mlp"] = "matrix",  # TTT-Linear or TTT-MLP
    ) -> None:
        super().__init__(width, Rule(memory, forget=False), heads, key, value, chunk, learned=True)
