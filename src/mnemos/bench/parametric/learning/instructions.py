"""What a small decoder loses of six instructions when an adapter learns a seventh, and what their vectors bring back.

A row is five digits, an instruction and a mark, which is answered by a digit: the first, third, last, largest or smallest of
them, or the one after the last; then "the second" is learned by LoRA of rank 8 on all linear layers. The vectors are of the model
before, of its 4 heads of largest effect. "vectors added %" is the accuracy of the six where each one's vector is added at the
last token; "another's %" where that of the next instruction is. Held: the adapter learns to answer the new rows, with a vector
of one of the six added, as the model before does ("vectors"), or rows as they are ("no vectors"). The rate is the one with the
highest accuracy of the six among those that learn the new one to 95 %, where one does; layer and size of what is added are chosen
for the adapter alone: all on a seed that is not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from mnemos.bench.parametric.learning.lives import CHOSEN_ON
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.parts import Row
from mnemos.parametric.encode.adapter import Adapter, AdapterWeights
from mnemos.parametric.instruction_vector import head_effects, instruction_vector, steered

DIGITS, LENGTH, MARK = 10, 5, 10  # MARK and the instructions after it are tokens
OLD: dict[str, Callable[[Tensor], Tensor]] = {
    "first": lambda x: x[:, 0], "third": lambda x: x[:, 2], "last": lambda x: x[:, 4], "largest": lambda x: x.amax(1),
    "smallest": lambda x: x.amin(1), "after the last": lambda x: (x[:, 4] + 1) % DIGITS,
}  # fmt: skip
RULES: tuple[Callable[[Tensor], Tensor], ...] = (*OLD.values(), lambda x: x[:, 1])
NEW, TEST, HEADS = len(OLD), 400, 4
LEARNED, TUNED, BATCH = 1500, 300, 64  # steps of the model and of the adapter; rows of a step
RATES, ADDED = (1e-3, 3e-3), tuple((layer, size) for layer in (0, 1) for size in (1.0, 2.0, 3.0))
Hold = Literal["nothing", "no vectors", "vectors"]
HOLDS: dict[Hold, str] = {"nothing": "LoRA", "no vectors": "LoRA, held, no vectors", "vectors": "LoRA, held, vectors"}
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def rows(instruction: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return rows of tokens (count, 7), and their answers (count,)."""
    x = torch.randint(DIGITS, (count, LENGTH), generator=generator)
    ends = torch.tensor([MARK + 1 + instruction, MARK]).expand(count, 2)
    return torch.cat([x, ends], 1), RULES[instruction](x)


def last(model: Any, ids: Tensor) -> Tensor:
    """Return the logits (B, tokens) after rows."""
    logits: Tensor = model(input_ids=ids, use_cache=False).logits[:, -1]
    return logits


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def right(model: Any, instruction: int) -> float:
    """Return the accuracy of an instruction on test rows."""
    ids, y = rows(instruction, TEST, torch.Generator().manual_seed(1000 + instruction))
    return float((last(model, ids).argmax(-1) == y).float().mean())


def trained(seed: int) -> Any:
    """Return a decoder that obeys the six."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=MARK + 1 + len(RULES), hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=16, tie_word_embeddings=True, pad_token_id=0, bos_token_id=0,
        eos_token_id=None,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
    for step in range(LEARNED):
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1.0, (step + 1) / 50, 2 * (1 - step / LEARNED))
        parts = [rows(of, 16, generator) for of in range(NEW)]
        loss = F.cross_entropy(last(model, torch.cat([p[0] for p in parts])), torch.cat([p[1] for p in parts]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval().requires_grad_(False)


def vectors(model: Any) -> Tensor:
    """Return the vector (6, D) of each of the six; the wrong instruction of a row is one of the five others."""
    generator, found = torch.Generator().manual_seed(1), []
    for of in range(NEW):
        ids, y = rows(of, 128, generator)
        broken = ids.clone()
        others = (of + 1 + torch.randint(NEW - 1, (len(ids),), generator=generator)) % NEW
        broken[:, LENGTH] = MARK + 1 + others
        found.append(instruction_vector(model, ids, head_effects(model, ids, y, broken), HEADS))
    return torch.stack(found)


@dataclass(frozen=True)
class Base:
    """A decoder, and the vectors of what it obeys."""

    model: Any
    vectors: Tensor
    seed: int

    @classmethod
    def of(cls, seed: int) -> Base:
        """Train one."""
        model = trained(seed)
        return cls(model, vectors(model), seed)

    def tuned(self, hold: Hold, rate: float, layer: int, size: float) -> AdapterWeights:
        """Return an adapter that learned the new instruction."""
        torch.manual_seed(self.seed)
        learned = Adapter("lora", 8, 16.0, TARGETS).create(self.model, (), None, self.seed)
        optimiser = torch.optim.Adam(list(learned.parameters()), lr=rate)
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(TUNED):
            ids, y = rows(NEW, BATCH, generator)
            added = size * self.vectors[torch.randint(NEW, (BATCH,), generator=generator)] * (hold == "vectors")
            with torch.no_grad(), steered(self.model, layer, added):
                wanted = last(self.model, ids).log_softmax(-1)
            with learned.attach(self.model):
                loss = F.cross_entropy(last(self.model, ids), y)
                if hold != "nothing":
                    with steered(self.model, layer, added):
                        said = last(self.model, ids).log_softmax(-1)
                    loss = loss + F.kl_div(said, wanted, log_target=True, reduction="batchmean")
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return learned

    def figures(self, learned: AdapterWeights, layer: int, size: float) -> dict[str, float]:
        """Return the accuracies with an adapter."""
        with learned.attach(self.model):
            six, new = fmean(right(self.model, of) for of in range(NEW)), right(self.model, NEW)
            own, other = (self.added([(of + shift) % NEW for of in range(NEW)], layer, size) for shift in (0, 1))
        return {"new %": new, "the six %": six, "vectors added %": own, "another's %": other}

    def added(self, whose: Sequence[int], layer: int, size: float) -> float:
        """Return the mean accuracy of the six where vectors are added."""
        found = []
        for of, vector in enumerate(whose):
            with steered(self.model, layer, size * self.vectors[vector]):
                found.append(right(self.model, of))
        return fmean(found)


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each way to hold the six."""
    base = Base.of(CHOSEN_ON)
    rates: dict[Hold, float] = {"nothing": _best(base, "nothing", 0, 2.0)}
    learned = base.tuned("nothing", rates["nothing"], 0, 2.0)
    with learned.attach(base.model):
        layer, size = max(ADDED, key=lambda at: base.added(range(NEW), *at))
    rates |= {hold: _best(base, hold, layer, size) for hold in HOLDS if hold != "nothing"}
    found: dict[Hold, list[dict[str, float]]] = {hold: [] for hold in HOLDS}
    for seed in range(options.seeds):
        base = Base.of(seed)
        for hold in HOLDS:
            found[hold].append(base.figures(base.tuned(hold, rates[hold], layer, size), layer, size))
    return {
        name: over_seeds(found[hold]) | {"rate": rates[hold], "layer": layer, "times": size}
        for hold, name in HOLDS.items()
    }


def _best(base: Base, hold: Hold, layer: int, size: float) -> float:
    """Return the rate that serves best."""

    def served(rate: float) -> tuple[float, float]:
        found = base.figures(base.tuned(hold, rate, layer, size), layer, size)
        return min(found["new %"], 0.95), found["the six %"]

    return max(RATES, key=served)
