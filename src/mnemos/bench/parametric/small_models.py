"""Language models of some 50,000 parameters that learn a made-up world, with a memory layer or without.

A model is a Llama of transformers; its recipe says what stands where its feed-forward blocks are. Values of memory layers
are trained by SparseAdam, so that a step touches the rows that were read; the rest by AdamW.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from mnemos.bench.parametric.facts import Fact, World, make_tokenizer, vocabulary
from mnemos.parametric.recall.lookup import Values

Block = Callable[[int], nn.Module]  # makes what stands in the place of a feed-forward block of this width


@dataclass(frozen=True)
class Shape:
    """The shape of a model."""

    width: int = 64
    inner: int = 128  # of the feed-forward blocks
    layers: int = 2
    heads: int = 2


def make_model(shape: Shape, seed: int, blocks: dict[int, Block] | None = None) -> Any:
    """Return an untrained model, with `blocks` for the feed-forward blocks of some layers."""
    config = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        for layer, block in (blocks or {}).items():
            model.model.layers[layer].mlp = block(shape.width)
    return model


class Texts:
    """Texts as padded token ids; reading a text twice costs nothing."""

    def __init__(self) -> None:
        self.tokenizer = make_tokenizer()
        self._read: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        if text not in self._read:
            self._read[text] = self.tokenizer(text).input_ids
        return self._read[text]

    def batch(self, texts: Sequence[str]) -> Tensor:
        """Return texts as rows, padded on the right with 0."""
        return nn.utils.rnn.pad_sequence([torch.tensor(self.ids(t)) for t in texts], batch_first=True)


def loss_of(model: Any, ids: Tensor, counted: int = 0) -> Tensor:
    """Return the mean cross-entropy of the next token, padding left out: of the last `counted` tokens, 0 for all."""
    first = ids.shape[1] - 1 - counted if counted else 0
    logits = model(ids, use_cache=False).logits[:, first:-1]
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, first + 1 :].flatten(), ignore_index=0)


def train(model: Any, batches: Iterator[Tensor], steps: int, rate: float = 3e-3, value_rate: float = 3e-2) -> float:
    """Train a model in place with rates that fall to nothing; return the processor seconds a step."""
    sparse = [p for m in model.modules() if isinstance(m, Values | nn.Embedding) and m.sparse for p in m.parameters()]
    sparse = list(dict.fromkeys(sparse))
    rest = [p for p in model.parameters() if p.requires_grad and all(p is not s for s in sparse)]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)]
    if sparse:
        optimizers.append(torch.optim.SparseAdam(sparse, lr=value_rate))
    starts = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    model.train()
    began = time.process_time()
    for step in range(steps):
        share = min(1.0, (step + 1) / 50) * min(1.0, 2 * (1 - step / steps))
        for optimizer, start in zip(optimizers, starts, strict=True):
            optimizer.param_groups[0]["lr"] = start * share
        loss_of(model, next(batches)).backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    model.eval()
    return (time.process_time() - began) / steps


def statements(world: World, texts: Texts, rows: int, seed: int) -> Iterator[Tensor]:
    """Yield batches of statements, drawn as the world's people are written about."""
    at = 0
    while True:
        yield texts.batch(world.sentences(rows, seed * 1_000_003 + at))
        at += 1


def recalled(model: Any, facts: Sequence[Fact], texts: Texts, template: int = 0) -> Tensor:
    """Tell of each fact whether the greedy answer to its prompt is its value: a token is asked with the true ones before.

    That is what greedy decoding gives, as one wrong token makes the answer wrong.
    """
    right = []
    for start in range(0, len(facts), 512):
        part = facts[start : start + 512]
        ids = texts.batch([fact.prompt(template) + fact.answer for fact in part])
        with torch.no_grad():
            best = model(ids, use_cache=False).logits.argmax(-1)[:, :-1]
        begins = torch.tensor([len(texts.ids(fact.prompt(template))) for fact in part])
        place = torch.arange(1, ids.shape[1])
        asked = (place >= begins[:, None]) & (ids[:, 1:] != 0)
        right.append(((best == ids[:, 1:]) | ~asked).all(1))
    return torch.cat(right)
