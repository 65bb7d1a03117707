"""Bytes of what training and running hold, by formulas: weights, gradients, states of an optimiser, keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.footprint.base import Prediction
from mnemos.registry import Paper, register

MOVED = {0: 2, 1: 2, 2: 2, 3: 3}  # times a model's size that each rank sends in a step, by stage


@register(
    "training-bytes",
    papers=(
        Paper(
            "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
            "1910.02054",
            code="microsoft/DeepSpeed",
        ),
    ),
)
@dataclass(frozen=True)
class TrainingBytes:
    """Predict the bytes of weights, gradients and an optimiser's states on each of some ranks.

    With Adam in mixed precision that is 2 + 2 + 12 bytes a parameter; the stages of ZeRO share out the 12, then the gradients,
    then the weights. Activations are not in it: `kept_bytes` counts them.
    """

    parameters: int  # of the model
    trained: int | None = None  # parameters that learn; None: all
    width: int = 4  # bytes of a number, of weights, gradients and states
    mixed: bool = False  # weights and gradients in 16 bits, and a copy of the weights and the states in 32
    states: int = 2  # numbers that the optimiser holds for each parameter: Adam has 2, momentum 1, plain descent none
    ranks: int = 1  # processes that train together
    stage: int = 0  # of ZeRO: 1 shares out states, 2 gradients too, 3 weights too

    def predict(self) -> Prediction:
        """Return the bytes of one rank; no seconds."""
        if self.ranks < 1 or self.stage not in MOVED:
            raise InvalidInput(
                f"{self.ranks} ranks at stage {self.stage}: give at least 1 rank, and a stage of 0, 1, 2 or 3."
            )
        trained = self.parameters if self.trained is None else self.trained
        small, large = (2, 4) if self.mixed else (self.width, self.width)
        of_rank = [-(-trained // self.ranks) if self.stage >= stage else trained for stage in (3, 2, 1)]
        parts = {
            "weights": small * (self.parameters - trained + of_rank[0]),
            "gradients": small * of_rank[1],
            "optimiser": (large * self.states + (4 if self.mixed else 0)) * of_rank[2],
        }
        why = (f"stage {self.stage} sends {MOVED[self.stage]} times the weights a step",) if self.ranks > 1 else ()
        return Prediction(sum(parts.values()), 0.0, parts, why)


@register(
    "cache-bytes",
    papers=(
        Paper(
            "Insights into DeepSeek-V3: Scaling Challenges and Reflections on Hardware for AI Architectures", "2505.09343",
            code="deepseek-ai/DeepSeek-V3",
        ),
        Paper("Challenges in Deploying Long-Context Transformers: A Theoretical Peak Performance Analysis", "2405.08944"),
    ),
)  # fmt: skip
@dataclass(frozen=True)
class CacheBytes:
    """Predict the bytes of keys and values: of all heads, of shared ones, of latents (MLA), or of few bits.

    A token takes layers * 2 * heads * width numbers; with latents layers * (latent + rotated).
    """

    layers: int  # of the model
    heads: int = 1  # of keys and values: all (MHA), fewer (GQA) or one (MQA)
    head_width: int = 64  # numbers of a head
    latent: int = 0  # numbers of a latent that stands for all heads (MLA); 0: there is none
    rotated: int = 0  # numbers of the part beside it that has the position
    bits: int = 16  # of a number
    group: int = 0  # numbers that share a scale and a zero of 16 bits each; 0: there are none
    tokens: int = 1  # of each sequence
    batch: int = 1  # sequences

    @property
    def per_token(self) -> float:
        """Bytes of one token."""
        numbers = self.layers * (self.latent + self.rotated if self.latent else 2 * self.heads * self.head_width)
        return numbers * self.bits / 8 + (numbers / self.group * 4 if self.group else 0)

    def predict(self) -> Prediction:
        """Return the bytes of all sequences; no seconds."""
        found = round(self.per_token * self.tokens * self.batch)
        return Prediction(found, 0.0, {"cache": found}, (f"{self.per_token:,.0f} bytes a token",))

    @classmethod
    def of(cls, config: Any, **options: Any) -> CacheBytes:
        """Return the calculator of a configuration of transformers, with other fields in `options`."""
        known = config.to_dict()
        heads = known["num_attention_heads"]
        width = known.get("head_dim") or known["hidden_size"] // heads
        shared = known.get("num_key_value_heads") or heads
        latent = known.get("kv_lora_rank") or 0
        rotated = known.get("qk_rope_head_dim") or 0 if latent else 0
        return cls(known["num_hidden_layers"], shared, width, latent, rotated, **options)
