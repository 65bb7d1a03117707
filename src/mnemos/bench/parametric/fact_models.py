"""Tiny decoders that know a made-up world by heart, trained from statements in a minute.

Of the texts of a training, most state facts of the world; some recite one of a few passages of random words, which nothing
but heart can tell; and some are text in general, statements about people who are never met again: a model is to go on being
able to say such texts.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mnemos.bench.parametric.facts import BOS, PAD, SYLLABLES, UNKNOWN, Fact, World, make_tokenizer, vocabulary

Family = Literal["llama", "gpt2"]
WIDTH, NEURONS, LAYERS, HEADS = 64, 256, 3, 4
BATCH, PER_TEXT, RATE = 32, 3, 3e-3  # texts a step, statements a text
RECITED, GENERAL = 0.1, 0.2  # shares of the texts
WORDS, PASSAGES = 12, 6  # names of a passage, and how many there are
PEOPLE = 24  # of a world that a model of this size learns in a short training


@dataclass(frozen=True)
class Knowledge:
    """What a model is trained on."""

    facts: tuple[Fact, ...]
    passages: tuple[str, ...]

    def text(self, rng: random.Random) -> str:
        """Draw a text."""
        kind = rng.random()
        if kind < RECITED and self.passages:
            return rng.choice(self.passages)
        if kind < RECITED + GENERAL:
            return general(rng)
        return " ".join(fact.statement(rng.randrange(3)) for fact in rng.choices(self.facts, k=PER_TEXT))


def name(rng: random.Random, syllables: int) -> str:
    """Return a random name."""
    return "".join(rng.choice(SYLLABLES) for _ in range(syllables)).capitalize()


def general(rng: random.Random) -> str:
    """Return a text in general: two statements about a random person."""
    who, of = name(rng, 3), rng.sample(("home", "work", "dish", "pet"), 2)
    return " ".join(Fact(who, relation, name(rng, 2), 0, 0).statement(rng.randrange(3)) for relation in of)


def passages(count: int, seed: int) -> tuple[str, ...]:
    """Return passages of random names."""
    rng = random.Random(f"passages {seed}")
    return tuple(" ".join(name(rng, 2) for _ in range(WORDS)) + " ." for _ in range(count))


def new_model(family: Family, seed: int, words: int | None = None) -> Any:
    """Return a decoder of a vocabulary with random weights, which the seed makes the same."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    words = len(vocabulary()) if words is None else words
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if family == "gpt2":
            dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
            config: Any = GPT2Config(
                vocab_size=words, n_embd=WIDTH, n_inner=NEURONS, n_layer=LAYERS, n_head=HEADS, n_positions=128,
                bos_token_id=1, eos_token_id=1, **dropout,
            )  # fmt: skip
            return GPT2LMHeadModel(config).eval()
        config = LlamaConfig(
            vocab_size=words, hidden_size=WIDTH, intermediate_size=NEURONS, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            num_key_value_heads=HEADS, max_position_embeddings=128, bos_token_id=1, eos_token_id=1, pad_token_id=0,
        )  # fmt: skip
        return LlamaForCausalLM(config).eval()


def train(model: Any, known: Knowledge, steps: int, seed: int, tokenizer: Any) -> None:
    """Train a model on what is to be known; the seed makes the same texts."""
    import torch
    from torch.nn import functional

    from mnemos.parametric.answers import padded
    from mnemos.parametric.tokens import prompt_ids

    rng = random.Random(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    model.train()
    for _ in range(steps):
        tokens, labels = padded([(prompt_ids(tokenizer, known.text(rng)), 1) for _ in range(BATCH)])
        logits = model(input_ids=tokens).logits[:, :-1]
        loss = functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    optimiser.zero_grad(set_to_none=True)
    model.eval()


def trained(
    known: Knowledge, family: Family, steps: int, seed: int, cache: Path | None = None, tokenizer: Any = None
) -> Any:
    """Return a model that knows this, and reads by a tokenizer; from a folder where it was trained before."""
    from hashlib import blake2b

    from safetensors.torch import load_model, save_model

    tokenizer = make_tokenizer() if tokenizer is None else tokenizer
    model = new_model(family, seed, len(tokenizer))
    path = None
    if cache is not None:
        of = blake2b(repr((known, family, steps, seed)).encode(), digest_size=8).hexdigest()
        path = cache / f"{family}-{len(tokenizer)}-{seed}-{of}.safetensors"
        if path.exists():
            load_model(model, str(path))
            return model
    train(model, known, steps, seed, tokenizer)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(model, str(path))
    return model


def used_values(world: World) -> dict[str, list[str]]:
    """Return the values that some fact of a relation has: words that a model has seen as an answer."""
    found: dict[str, set[str]] = {}
    for fact in world.facts:
        found.setdefault(fact.relation, set()).add(fact.value)
    return {relation: sorted(values) for relation, values in found.items()}


def whole_words(world: World) -> Any:
    """Return a tokenizer of a world in which each name is one token.

    Editors that write at the last token of a subject need one that stands for all of it; in decoders of few layers the last
    syllable of a name does not.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    texts = [fact.statement(t) for fact in world.facts for t in range(3)]
    words = dict.fromkeys([PAD, BOS, UNKNOWN, *" ".join(texts).split()])
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, bos_token=BOS, unk_token=UNKNOWN)
