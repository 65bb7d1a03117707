"""The texts that laws are measured on: sentences about made-up people, lists of names, strings of random words.

It is the language of `facts`, whose names are spelled in syllables of two letters; texts are coded here without the
tokenizer, which would take as long as a training step.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mnemos.bench.parametric.fact_models import general, name
from mnemos.bench.parametric.facts import UNKNOWN, vocabulary

_ID = {token: i for i, token in enumerate(vocabulary())}
_FIRST = _ID["<s>"]
WORDS = [token for token in vocabulary()[3:] if not token.startswith("##") and len(token) > 1 and token[0].islower()]
SYLLABLES = [i for token, i in _ID.items() if token.startswith("##")]


def coded(text: str) -> list[int]:
    """Return the tokens of a text, as `facts.make_tokenizer` has them."""
    found = [_FIRST]
    for word in text.split():
        if word in _ID:
            found.append(_ID[word])
        elif word[0].isupper():
            parts = [word[:2], *(f"##{word[i : i + 2]}" for i in range(2, len(word), 2))]
            found += [_ID[part] for part in parts]
        else:
            found.append(_ID[UNKNOWN])
    return found


def rows(texts: Sequence[str]) -> Tensor:
    """Return texts as rows of tokens, padded on the right with 0."""
    return nn.utils.rnn.pad_sequence([torch.tensor(coded(text)) for text in texts], batch_first=True)


def prose(seed: str) -> Iterator[str]:
    """Yield texts about people who are never met again."""
    rng = random.Random(seed)
    while True:
        yield general(rng)


def take(texts: Iterator[str], count: int) -> list[str]:
    """Return the next texts."""
    return [next(texts) for _ in range(count)]


def string(rng: random.Random, words: int = 14) -> str:
    """Return random words of templates and names: nothing tells the next from those before."""
    return " ".join(rng.choice(WORDS) if rng.random() < 0.5 else name(rng, 2) for _ in range(words))


def with_another_value(text: str, rng: random.Random) -> str:
    """Return a text of `prose` with another value in its first statement: what a near duplicate is."""
    words = text.split()
    at = words.index(".") - 1
    words[at] = name(rng, len(words[at]) // 2)
    return " ".join(words)
