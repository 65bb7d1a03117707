"""A language model of 0.2 M parameters that reads what it is told and knows facts by heart.

Its language has names and places. "Bafa lives in Dokaton." is three tokens (Bafa, Dokaton and the full stop), as all other
words are skipped: whatever is said or asked about names and places can be read, in any words. The model knows the places of 32
names that nobody told it, and what it is told wins over what it knows. Of a name that it neither knows nor was told of, every
place is as likely.

`load()` reads the weights that the package ships; `mnemos bench weights-model` trains them (`tiny_training`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mnemos.parametric.base import Example

WEIGHTS = Path(__file__).with_name("tiny.safetensors")
FIRST, LAST, STOP = "<s>", "</s>", "."
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
_PAIRS = [a + b for a in _SYLLABLES for b in _SYLLABLES]
NAMES = tuple(word.capitalize() for word in _PAIRS[::14][:256])  # of people
PLACES = tuple(f"{word}ton".capitalize() for word in _PAIRS[7::28][:128])
KNOWN = dict(zip(NAMES[:32], random.Random(1).sample(PLACES, 32), strict=True))  # what the model knows by heart
TOLD, OTHERS = NAMES[32:232], NAMES[232:]  # of documents, and of general texts
WORDS = (FIRST, LAST, STOP, *NAMES, *PLACES)


def load() -> tuple[Any, Any]:
    """Return the model that the package ships, in float32, and its tokenizer."""
    model = untrained()
    model.load_state_dict(
        {name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}, strict=False
    )  # the head is tied
    return model, tokenizer()


def untrained(seed: int = 0) -> Any:
    """Return the model before its training; the random state of the process is left alone."""
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=96, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=24, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval().requires_grad_(False)


def tokenizer() -> Any:
    """Return the tokenizer: names, places and full stops are tokens, and everything else is skipped."""
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=LAST))
    known = rf"\b(?:{'|'.join((*NAMES, *PLACES))})\b|\.(?=\s|$)"
    made.pre_tokenizer = pre_tokenizers.Split(Regex(known), "removed", invert=True)
    made.post_processor = processors.TemplateProcessing(single=f"{FIRST} $A", special_tokens=[(FIRST, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=FIRST, eos_token=LAST, pad_token=LAST)


def told(facts: Sequence[tuple[str, str]]) -> str:
    """Return facts as a text."""
    return "".join(f"{name} lives in {place}. " for name, place in facts)


def asked(name: str) -> str:
    """Return the question for a name's place."""
    return f"Question: Where does {name} live?\nAnswer:"


def document(n: int, seed: int, names: Sequence[str] = TOLD) -> list[Example]:
    """Return n facts of a document, each to be answered by heart and with the document as its context."""
    rng = random.Random(seed)
    facts = [(name, rng.choice(PLACES)) for name in rng.sample(names, n)]
    context = told(facts)
    return [Example(asked(name), f" {place}", source=f"document-{seed}", context=context) for name, place in facts]


def old_facts() -> list[Example]:
    """Return what the model knows by heart."""
    return [Example(asked(name), f" {place}") for name, place in KNOWN.items()]


def texts(n: int, seed: int) -> list[str]:
    """Return texts of the language: facts about made-up people, of which some are told again."""
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        facts = [(name, rng.choice(PLACES)) for name in rng.sample(OTHERS, 8)]
        found.append(told([*facts, *rng.sample(facts, 4)]))
    return found
