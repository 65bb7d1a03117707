"""Probes: where a new memory has to be silent, made of a model and of what is learned; nothing else has to be stored.

A memory that is trained on its own examples alone changes what the model says everywhere. So it is trained as well to
leave six kinds of sequences as they were: random tokens; random tokens repeated, which a model continues by looking
back; what the model writes by itself; the neighbours of what is learned, with other tokens in the place of those that
examples differ in; the same with their context, which has to be read and not known; and examples whose context gives
another answer, since newer words win over a memory. Texts of one's own can be added.

Where a probe asks for what is learned, it is not counted: silence there would be forgetting.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch

from mnemos.parametric.base import Example
from mnemos.parametric.tokens import Batch, Row, answer_ids, pad_of, padded, prompt_ids

TAIL = 12  # tokens at the end of a prompt that tell it from others


@dataclass(frozen=True, slots=True)
class Probes:
    """How many sequences of each kind."""

    random: int = 128  # random tokens
    repeated: int = 32  # random tokens, twice
    sampled: int = 32  # written by the model
    neighbours: int = 64  # prompts with other tokens in them
    episodes: int = 64  # contexts and prompts with other tokens in them
    conflicts: int = 32  # examples with a context that gives another answer
    length: int = 24  # tokens of a sequence, at most where it is made of nothing


@dataclass(frozen=True, slots=True)
class Probe:
    """A sequence, and which of its tokens are counted."""

    row: Row
    counted: tuple[bool, ...]  # of the last `row.answer` tokens


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes probes of a model and of what it is to learn."""

    model: Any
    tokenizer: Any
    examples: Sequence[Example]
    rng: random.Random

    def make(self, knobs: Probes, texts: Sequence[str] = ()) -> list[Probe]:
        """Return probes: of every kind, and of the windows of texts."""
        first = prompt_ids(self.tokenizer, "")
        words = self._words()
        rows = [self._random(first, words, knobs.length) for _ in range(knobs.random)]
        rows += [self._repeated(first, words, knobs.length) for _ in range(knobs.repeated)]
        rows += self._sampled(first, words, knobs)
        conflicts: list[Row] = []
        if self.examples:
            parts = [_Parts.of(self.tokenizer, example) for example in self.examples]
            rows += self._neighbours(parts, knobs, words)
            conflicts = self._conflicts(parts, knobs.conflicts)
        rows += windows(self.tokenizer, texts, knobs.length)
        asked = self._asked()
        made = [Probe(row, counted(row, asked)) for row in rows] + [
            Probe(row, (True,) * row.answer) for row in conflicts
        ]
        return [probe for probe in made if any(probe.counted)]

    def _words(self) -> list[int]:
        """Return the tokens that texts are made of."""
        size = self.model.get_input_embeddings().weight.shape[0]
        special = set(self.tokenizer.all_special_ids)
        return [i for i in range(min(size, len(self.tokenizer))) if i not in special]

    def _random(self, first: list[int], words: list[int], length: int) -> Row:
        n = self.rng.choice((1, 2, self.rng.randint(1, length)))
        return _whole((*first, *self.rng.choices(words, k=n)))

    def _repeated(self, first: list[int], words: list[int], length: int) -> Row:
        part = self.rng.choices(words, k=max(2, self.rng.randint(length // 4, length // 2)))
        return _whole((*first, *part, *part))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _sampled(self, first: list[int], words: list[int], knobs: Probes) -> list[Row]:
        """Return what the model writes after a random token, at temperature 1."""
        if not knobs.sampled:
            return []
        ids = torch.tensor([[*first, self.rng.choice(words)] for _ in range(knobs.sampled)], device=self.model.device)
        made = torch.Generator().manual_seed(self.rng.getrandbits(62))
        cache = None
        while ids.shape[1] < knobs.length:
            out = self.model(ids if cache is None else ids[:, -1:], past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            chances = out.logits[:, -1].float().softmax(-1).cpu()
            ids = torch.cat([ids, torch.multinomial(chances, 1, generator=made).to(ids.device)], 1)
        return [_whole(tuple(row)) for row in ids.tolist()]

    def _neighbours(self, parts: list[_Parts], knobs: Probes, words: list[int]) -> list[Row]:
        """Return prompts, and contexts with prompts, in which other tokens stand for those that examples differ in."""
        shared = _shared(parts)
        readers = [part for part in parts if part.read != part.asked]
        rows = []
        for part in self.rng.choices(parts, k=knobs.neighbours):
            change = self._changes({*part.asked, *part.said} - shared, words)
            rows.append(Row(_replaced((*part.asked, *part.said), change), len(part.said)))
        for part in self.rng.choices(readers, k=knobs.episodes) if readers else ():
            change = self._changes({*part.read, *part.said} - shared, words)
            rows.append(_whole(_replaced((*part.read, *part.said), change)))
        return rows

    def _conflicts(self, parts: list[_Parts], n: int) -> list[Row]:
        """Return examples whose context, and what the model is to say, has the answer of another."""
        readers = [part for part in parts if part.read != part.asked]
        rows = []
        for part in self.rng.choices(readers, k=n) if readers else ():
            other = self.rng.choice(parts).said
            if (read := swapped(part.read, part.said, other)) is not None:
                rows.append(Row((*read, *other), len(other)))
        return rows

    def _changes(self, tokens: set[int], words: list[int]) -> dict[int, int]:
        return {token: self.rng.choice(words) for token in sorted(tokens)}

    def _asked(self) -> dict[int, set[tuple[tuple[int, ...], int]]]:
        """Return the ends of all prompts that are learned, with the tokens of their answers, by their last token."""
        first = prompt_ids(self.tokenizer, "")
        found: dict[int, set[tuple[tuple[int, ...], int]]] = {}
        for example in self.examples:
            ids = prompt_ids(self.tokenizer, example.prompt)
            ids = ids[1:] if len(ids) > 1 and ids[0] == first[0] else ids
            found.setdefault(ids[-1], set()).add((tuple(ids[-TAIL:]), len(answer_ids(self.tokenizer, example.answer))))
        return found


@dataclass(frozen=True, slots=True)
class _Parts:
    asked: tuple[int, ...]
    read: tuple[int, ...]  # with the context; as `asked` where there is none
    said: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any, example: Example) -> _Parts:
        read = prompt_ids(tokenizer, example.context + example.prompt)
        said = answer_ids(tokenizer, example.answer)
        return cls(tuple(prompt_ids(tokenizer, example.prompt)), tuple(read), tuple(said))


def _shared(parts: Sequence[_Parts]) -> set[int]:
    """Return the tokens that more than half of the examples ask with: they are of the template, not of a fact."""
    counts = Counter(token for part in parts for token in {*part.asked})
    repeated = {token for part in parts for token, n in Counter(part.read).items() if n > 2}
    return {token for token, n in counts.items() if 2 * n > len(parts) > 1} | repeated


def swapped(read: Sequence[int], said: Sequence[int], other: Sequence[int]) -> tuple[int, ...] | None:
    """Return what was read with another answer in the place of the answer; None where it is not there or the same."""
    n = len(said)
    places = [i for i in range(len(read) - n + 1) if tuple(read[i : i + n]) == tuple(said)]
    if not places or tuple(said) == tuple(other):
        return None
    out: list[int] = []
    last = 0
    for i in places:
        if i >= last:
            out += [*read[last:i], *other]
            last = i + n
    return (*out, *read[last:])


def windows(tokenizer: Any, texts: Sequence[str], length: int) -> list[Row]:
    """Return texts in windows of at most `length` tokens, each after what a text begins with."""
    first = prompt_ids(tokenizer, "")
    rows = []
    for text in texts:
        ids = [int(i) for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
        rows += [_whole((*first, *ids[i : i + length])) for i in range(0, len(ids), length)]
    return rows


def counted(row: Row, asked: Mapping[int, Set[tuple[tuple[int, ...], int]]]) -> tuple[bool, ...]:
    """Return which of the last tokens count: not those that answer what is learned and was not asked before."""
    ids = row.ids
    skip: set[int] = set()
    seen: set[tuple[int, ...]] = set()
    for end, token in enumerate(ids, 1):
        for tail, said in asked.get(token, ()):
            if ids[max(0, end - len(tail)) : end] == tail and tail not in seen:
                skip.update(range(end, end + said))
                seen.add(tail)
    return tuple(i not in skip for i in range(len(ids) - row.answer, len(ids)))


def batch_of(probes: Sequence[Probe], tokenizer: Any) -> Batch:
    """Return probes as a batch whose `counted` leaves out what is not counted."""
    made = padded([probe.row for probe in probes], pad_of(tokenizer))
    most = made.counted.shape[1]
    for i, probe in enumerate(probes):
        made.counted[i, most - probe.row.answer :] = torch.tensor(probe.counted)
    return made


def _whole(ids: tuple[int, ...]) -> Row:
    """Return a row whose tokens all count but the first."""
    return Row(ids, len(ids) - 1)


def _replaced(ids: tuple[int, ...], change: dict[int, int]) -> tuple[int, ...]:
    return tuple(change.get(token, token) for token in ids)
