"""Miras: one layer whose memory, loss, retention and optimiser are options, and its three instances."""

from __future__ import annotations

from typing import Literal

from mnemos.neural.testtime.learner import Learner
from mnemos.neural.testtime.rule import Rule
from mnemos.registry import Paper, register

PAPER = Paper(
    "It's All Connected: A Journey Through Test-Time Memorization, Attentional Bias, Retention, and Online Optimization",
    "2504.13173",
)


@register(
    "miras",
    papers=(PAPER,),
    task="testtime",
    baselines=("linear-attention", "delta-net"),
)
class Miras(Learner):
    """Learns keys to values by a chosen loss, retention and optimiser (arXiv 2504.13173).

    M_t = (1 - alpha_t) M_{t-1} - theta_t grad loss(W(M); k_t, v_t), y_t = W(M_t)(q_t). Loss 'dot' without forgetting is linear
    attention; 'l2' with a chunk of 1 is DeltaNet, with `faded` Gated DeltaNet, with a longer chunk and a learned
    beginning TTT-Linear, with momentum and the memory 'mlp' Titans: all exactly, by the tests. Retention 'lq' reads
    W = M / max(|M|_q, 1)^(q - 2) (the paper has no 1), 'kl' W = softmax(M) over key channels.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory
        memory: Literal["matrix", "mlp"] = "matrix",  # the architecture; mlp has 2 K channels inside
        loss: Literal["dot", "l2", "lp", "huber"] = "l2",  # the attentional bias; lp is cubic, huber's limit is learned
        retention: Literal["decay", "lq", "kl"] = "decay",  # how what was learned is held
        optimiser: Literal["gradient", "momentum", "muon"] = "gradient",  # inside
        forget: bool = True,  # whether a token chooses how much is forgotten
        faded: bool = False,  # whether gradients are taken where forgetting leads, as in Gated DeltaNet; matrix only
        learned: bool = False,  # whether a matrix begins at learned weights instead of 0; an mlp always does
    ) -> None:
        rule = Rule(memory, loss, retention, optimiser, forget=forget, faded=faded)
        super().__init__(width, rule, heads, key, value, chunk, learned=learned)


@register(
    "moneta",
    papers=(PAPER,),
    task="testtime",
    baselines=("delta-net", "titans"),
)
class Moneta(Learner):
    """Learns by the cube of the error and holds weights by their 4-norm (arXiv 2504.13173, Moneta)."""

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory
    ) -> None:
        super().__init__(width, Rule("mlp", "lp", "lq"), heads, key, value, chunk)


@register(
    "yaad",
    papers=(PAPER,),
    task="testtime",
    baselines=("delta-net", "titans"),
)
class Yaad(Learner):
    """Learns by the Huber loss, which an outlier moves no further than a limit that it chooses (arXiv 2504.13173, Yaad)."""

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory
        memory: Literal["matrix", "mlp"] = "mlp",  # the architecture; mlp has 2 K channels inside
    ) -> None:
        super().__init__(width, Rule(memory, "huber"), heads, key, value, chunk)


@register(
    "memora",
    papers=(PAPER,),
    task="testtime",
    baselines=("delta-net", "titans"),
)
class Memora(Learner):
    """Retains by a KL divergence: weights are shares that sum to 1, and learn by factors (arXiv 2504.13173, Memora).

    W_t = softmax((1 - alpha_t) log W_{t-1} - theta_t grad l2), over key channels.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory
        memory: Literal["matrix", "mlp"] = "matrix",  # the architecture; mlp has 2 K channels inside
        rate: float = 8.0,  # theta, at most: shares are small, so steps are large
    ) -> None:
        super().__init__(width, Rule(memory, "l2", "kl"), heads, key, value, chunk, rate=rate)
