"""A language model with an adapter as a classifier of texts: any strategy of continual learning rides on the adapter.

    model = Labelling(decoder, Adapter(targets=upper(decoder, 4, "mlp.down_proj")), label_tokens, ending_tokens, layers=4)
    learner = Learner(model, Replay(100), optimise=partial(torch.optim.Adam, lr=1e-3))
    learner.observe(tokens, labels, task=0)

The adapter acts on the tokens that end every prompt, such as "Label:", and not on the text before them, as an activated LoRA
(arXiv 2504.12397) does. So the frozen model reads each text once, and a step costs a few tokens in the upper layers.

N texts, T tokens, E tokens of the ending, C labels, L upper layers, H heads of keys, D width of a head, W width of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Carrier
from mnemos.parametric.training import frozen

PAD = -1  # in rows of tokens, which end alike


class Reading(NamedTuple):
    """What a frozen model keeps of a text: keys and values (L, 2, H, T, D), and states of the ending (E, W) below layer L."""

    text: Tensor
    ending: Tensor


class Labelling(nn.Module):  # type: ignore[misc]
    """Reads rows of tokens (N, T) and returns logits (N, C): of each label, the mean of the model's logits of its tokens.

    All that is trained, stored and copied are the weights that `carrier` makes: a copy (a slow one, or one from before a task)
    shares the frozen model. Readings of texts stay in memory: L x T x H x D x 8 bytes each. Raises InvalidInput for a model
    whose layers are not Llama's, and a carrier that acts below the upper `layers`.
    """

    def __init__(
        self,
        model: Any,
        carrier: Carrier,
        labels: Sequence[Sequence[int]],  # tokens of each label
        ending: Sequence[int],  # tokens that end every prompt
        layers: int,  # upper layers, that the carrier may act in
        seed: int = 0,
        readings: dict[tuple[int, ...], Reading]
        | None = None,  # of the same model, ending and layers: shared between several
    ) -> None:
        super().__init__()
        if not labels or not all(labels) or not ending:
            raise InvalidInput("give at least one label with tokens, and an ending with tokens.")
        if not isinstance(model, LlamaForCausalLM):
            raise InvalidInput(f"{type(model).__name__} has no layers as Llama's: give a model such as SmolLM2.")
        if not 0 < layers <= model.config.num_hidden_layers:
            raise InvalidInput(f"layers is {layers}: give 1 to {model.config.num_hidden_layers}.")
        self.learned = carrier.create(model, (), None, seed)
        head = model.get_output_embeddings().weight.detach()
        means = torch.stack([head[list(label)].float().mean(0) for label in labels])  # (C, W)
        known = {} if readings is None else readings
        object.__setattr__(self, "outside", (model, carrier, means, tuple(ending), layers, known))  # never stored
        self._check()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) of rows of tokens (N, T), padded with PAD at their beginning."""
        logits: Tensor = self.states(x).float() @ self.outside[2].T
        return logits

    def states(self, x: Tensor) -> Tensor:
        """Return the last state (N, W) of each row, after the model's last norm."""
        model, _, _, ending, layers, _ = self.outside
        readings = self.read(x)
        width = max(r.text.shape[3] for r in readings)
        text = torch.stack([nn.functional.pad(r.text, (0, 0, width - r.text.shape[3], 0)) for r in readings], 2)
        lengths = torch.tensor([r.text.shape[3] for r in readings])
        count = len(ending)
        places = lengths[:, None] + torch.arange(count)
        before = (torch.arange(width) >= width - lengths[:, None])[:, None].expand(-1, count, -1)
        among = torch.ones(count, count, dtype=torch.bool).tril().expand(len(x), -1, -1)
        mask = torch.cat([before, among], 2)[:, None]  # (N, 1, E, T + E)
        hidden = torch.stack([r.ending for r in readings])
        turns = model.model.rotary_emb(hidden, places)
        with frozen(model), self.learned.attach(model):
            for layer, past in zip(model.model.layers[-layers:], text, strict=True):
                said = layer(
                    hidden, attention_mask=mask, position_ids=places, past_key_values=_Past(past), position_embeddings=turns
                )  # fmt: skip
                hidden = said[0] if isinstance(said, tuple) else said
            last: Tensor = model.model.norm(hidden[:, -1])
        return last

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def read(self, x: Tensor, batch: int = 16) -> list[Reading]:
        """Return what the frozen model keeps of rows (N, T); those that were not read before are read now."""
        model, _, _, ending, layers, known = self.outside
        rows = [tuple(row[row != PAD].tolist()) for row in x]
        new = sorted({row for row in rows if row not in known}, key=len)
        for at in range(0, len(new), batch):
            some = new[at : at + batch]
            width = len(some[-1]) + len(ending)
            ids = torch.tensor([[0] * (width - len(row) - len(ending)) + [*row, *ending] for row in some])
            mask = torch.tensor(
                [[0] * (width - len(row) - len(ending)) + [1] * (len(row) + len(ending)) for row in some]
            )
            said = model.model(
                ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp_min(0), use_cache=True,
                output_hidden_states=True,
            )  # fmt: skip
            upper = said.past_key_values.layers[-layers:]
            text = torch.stack(
                [torch.stack([held.keys, held.values], 1) for held in upper], 1
            )  # (N, L, 2, H, T + E, D)
            below = said.hidden_states[-layers - 1][:, -len(ending) :]
            for i, row in enumerate(some):
                end = text.shape[4] - len(ending)
                known[row] = Reading(text[i, :, :, :, end - len(row) : end].clone(), below[i].clone())
        return [known[row] for row in rows]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the same model beside the same frozen weights, with weights of its own."""
        model, carrier, *_ = self.outside
        made = copy.copy(self)
        learned = carrier.create(model, (), None)
        learned.load_state_dict(self.learned.state_dict())
        made._modules = {"learned": learned}
        return made

    def _check(self) -> None:
        """Raise InvalidInput where weights act below the upper layers."""
        model, _, _, _, layers, _ = self.outside
        with self.learned.attach(model):
            above = {id(p) for layer in model.model.layers[-layers:] for p in layer.parameters()}
        if any(id(p) not in above for p in self.learned.parameters()):
            raise InvalidInput(
                f"the carrier acts below the {layers} upper layers: name its targets as `upper(model, {layers}, ...)` does."
            )


class _Past:
    """Keys and values of one layer (2, N, H, T, D), that those of the ending are put behind."""

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return all keys and values (N, H, T + E, D)."""
        return torch.cat([self.held[0], keys], 2), torch.cat([self.held[1], values], 2)


def upper(model: Any, layers: int, *ends: str) -> tuple[str, ...]:
    """Return the targets of an Adapter in the upper layers: those modules whose names end so, such as "mlp.down_proj"."""
    last: int = model.config.num_hidden_layers
    return tuple(f"layers.{i}.{end}" for i in range(last - layers, last) for end in ends)


def rows_of(tokenizer: Any, texts: Sequence[str], tokens: int) -> Tensor:
    """Return the first `tokens` tokens of each text as rows (N, T), int32, padded with PAD at their beginning."""
    rows = [tokenizer(text)["input_ids"][:tokens] for text in texts]
    width = max(map(len, rows), default=0)
    return torch.tensor([[PAD] * (width - len(row)) + row for row in rows], dtype=torch.int32)
