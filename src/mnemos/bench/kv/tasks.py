"""Tasks for KV memories: synthetic contexts with questions, answers, and the positions of the evidence.

A `Task` holds N contexts of one length, so a batch needs no padding:

    N contexts, T tokens of each, K questions about each, q tokens of a question, a of its answer, e evidence tokens

Every function takes the number of contexts, their length and a seed, and gives the same task for the same arguments.
Key-value questions and the passkey are those of the MInference and InfiniteBench benchmarks (arXiv 2407.02490,
2402.13718); several questions over one context are those of SCBench (arXiv 2412.10319).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.bench.kv.vocabulary import BOS, CONTENT, FILLERS, KEYS, MARKER, PERIOD, TOPICS, VALUES
from mnemos.errors import InvalidInput

PASSKEY = 5  # value tokens of a passkey
RECORD = 3  # value tokens of a record in a sentence
SENTENCE = 8  # mean length of a filler sentence
SEGMENT = 6  # least length of a topic's segment
PASSAGE = 8  # tokens to be continued from a repeated text


@dataclass(frozen=True)
class Task:
    """N contexts of one length with K questions each. All tensors are int64, on the CPU."""

    name: str
    context: Tensor  # (N, T), begins with BOS
    questions: Tensor  # (N, K, q)
    answers: Tensor  # (N, K, a)
    evidence: Tensor  # (N, K, e) slots in the context that a question needs, ascending; slot 0 is BOS
    segments: Tensor | None = None  # (N, S) slots where a segment begins, where a text has segments

    def __len__(self) -> int:
        return len(self.context)

    @property
    def length(self) -> int:
        """Tokens of a context."""
        return len(self.context[0])

    def turns(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the first `count` turns as (N, count·(q+a)) ids, question after answer, and which are answers."""
        ids = torch.cat([self.questions, self.answers], -1)[:, :count]  # (N, K, q + a)
        marks = torch.zeros_like(ids, dtype=torch.bool)
        marks[..., self.questions.shape[-1] :] = True
        return ids.flatten(1), marks.flatten(1)

    def known(self) -> Task:
        """Return the N·K contexts that end in their one question, which is then asked again.

        A method that compresses such a context knows the question.
        """
        k = self.questions.shape[1]
        context = torch.cat([self.context.repeat_interleave(k, 0), self.questions.flatten(0, 1)], -1)
        one = {name: getattr(self, name).flatten(0, 1)[:, None] for name in ("questions", "answers", "evidence")}
        segments = None if self.segments is None else self.segments.repeat_interleave(k, 0)
        return replace(self, name=f"{self.name}-known", context=context, segments=segments, **one)


def key_value(count: int, length: int = 64, pairs: int = 8, seed: int | torch.Generator = 0) -> Task:
    """Return pairs of a key and a value at random slots in filler; each key is asked once, in random order."""
    rng = generator(seed)
    context = filler(count, length, rng)
    starts = place(count, length, pairs, 2, rng)  # (N, P)
    keys, values = choose(count, pairs, KEYS, rng), draw((count, pairs), VALUES, rng)
    context.scatter_(1, starts, keys).scatter_(1, starts + 1, values)
    return asked("key-value", context, starts, keys, values[..., None], rng)


def records(count: int, length: int = 64, pairs: int = 4, seed: int | torch.Generator = 0) -> Task:
    """Return sentences of filler that end in a period, among them records: a key, three values and a period."""
    rng = generator(seed)
    width = RECORD + 2
    context = filler(count, length, rng)
    ends = torch.rand(count, length, generator=rng) < 1 / SENTENCE
    ends[:, 0] = False
    context[ends] = PERIOD
    starts = place(count, length, pairs, width, rng)
    before = (starts - 1).clamp(min=1)
    context.scatter_(1, before, PERIOD)
    keys = choose(count, pairs, KEYS, rng)
    values = choose(count, pairs * RECORD, VALUES, rng).view(count, pairs, RECORD)
    body = torch.cat([keys[..., None], values, torch.full((count, pairs, 1), PERIOD)], -1)  # (N, P, width)
    context.scatter_(1, span(starts, width).flatten(1), body.flatten(1))
    return asked("records", context, starts, keys, values, rng)


def topics(count: int, length: int = 64, pairs: int = 4, seed: int | torch.Generator = 0) -> Task:
    """Return a text whose subject shifts: `pairs` segments, each with fillers of its own topic and one pair."""
    rng = generator(seed)
    firsts = place(count, length - SEGMENT + 1, pairs, SEGMENT, rng) + SEGMENT - 1
    firsts[:, 0] = 1  # the text begins with the first segment
    segment = (torch.arange(length)[None, :, None] >= firsts[:, None, :]).sum(-1) - 1  # (N, T), -1 at BOS
    shifts = draw((count, pairs), range(1, len(TOPICS)), rng)
    shifts[:, 0] = draw((count,), range(len(TOPICS)), rng)
    topic = (shifts.cumsum(1) % len(TOPICS)).gather(1, segment.clamp(min=0))  # (N, T): never the one before
    width = len(TOPICS[0])
    context = FILLERS.start + topic * width + draw((count, length), range(width), rng)
    context[:, 0] = BOS
    sizes = torch.cat([firsts[:, 1:], torch.full((count, 1), length)], 1) - firsts
    room = (torch.rand(count, pairs, generator=rng) * (sizes - 2)).long() + 1  # not the segment's first token
    starts = firsts + room.clamp(max=sizes - 2)
    keys, values = choose(count, pairs, KEYS, rng), draw((count, pairs), VALUES, rng)
    context.scatter_(1, starts, keys).scatter_(1, starts + 1, values)
    return replace(asked("topics", context, starts, keys, values[..., None], rng), segments=firsts)


def passkey(count: int, length: int = 64, depth: float | None = None, seed: int | torch.Generator = 0) -> Task:
    """Return filler with a marker and five values at `depth` (0 the beginning, 1 the end, None anywhere)."""
    if depth is not None and not 0 <= depth <= 1:
        raise InvalidInput(f"depth is {depth}: give a share of the context from 0 to 1, or None for any.")
    rng = generator(seed)
    width = PASSKEY + 1
    context = filler(count, length, rng)
    starts = place(count, length, 1, width, rng)
    if depth is not None:
        starts = torch.full_like(starts, 1 + round(depth * (length - 1 - width)))
    marker = torch.full((count, 1), MARKER)
    values = choose(count, PASSKEY, VALUES, rng)
    context.scatter_(1, span(starts, width).flatten(1), torch.cat([marker, values], 1))
    return asked("passkey", context, starts, marker, values[:, None], rng)


def copying(count: int, length: int = 33, seed: int | torch.Generator = 0) -> Task:
    """Return a text in which no token comes twice; BOS asks for all of it again."""
    context = unique(count, length, generator(seed))
    slots = torch.arange(1, length).expand(count, 1, -1)
    return Task("copy", context, context[:, None, :1], context[:, None, 1:], slots)


def repeated(count: int, length: int = 64, questions: int = 4, seed: int | torch.Generator = 0) -> Task:
    """Return a text in which no token comes twice; a question is one token of it, its answer the eight that follow."""
    rng = generator(seed)
    context = unique(count, length, rng)
    if length - 1 - PASSAGE < questions:
        raise InvalidInput(f"a text of {length} tokens has no room for {questions} passages of {PASSAGE} and a token.")
    starts = choose(count, questions, range(1, length - PASSAGE), rng)
    slots = span(starts, PASSAGE + 1)  # (N, K, 1 + PASSAGE)
    passages = context.gather(1, slots.flatten(1)).view_as(slots)
    return Task("repeated", context, passages[..., :1], passages[..., 1:], slots)


TASKS: dict[str, Callable[..., Task]] = {
    "key-value": key_value,
    "records": records,
    "topics": topics,
    "passkey": passkey,
    "copy": copying,
    "repeated": repeated,
}


def generator(seed: int | torch.Generator) -> torch.Generator:
    """Return a generator of random numbers that begins at `seed`, or the one given."""
    return seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)


def draw(shape: Sequence[int], ids: range, rng: torch.Generator) -> Tensor:
    """Return random ids, which may repeat."""
    return torch.randint(ids.start, ids.stop, tuple(shape), generator=rng)


def choose(count: int, n: int, ids: range, rng: torch.Generator) -> Tensor:
    """Return (count, n) random ids, none twice in a row. Raises InvalidInput when there are fewer than n."""
    if n > len(ids):
        raise InvalidInput(f"{n} different tokens were asked for, of which there are {len(ids)}: ask for fewer.")
    return ids.start + torch.rand(count, len(ids), generator=rng).argsort(-1)[:, :n]


def filler(count: int, length: int, rng: torch.Generator) -> Tensor:
    """Return (count, length) tokens: BOS, then random filler."""
    context = draw((count, length), FILLERS, rng)
    context[:, 0] = BOS
    return context


def unique(count: int, length: int, rng: torch.Generator) -> Tensor:
    """Return (count, length) tokens: BOS, then random content without repetition."""
    return torch.cat([torch.full((count, 1), BOS), choose(count, length - 1, CONTENT, rng)], 1)


def place(count: int, length: int, n: int, width: int, rng: torch.Generator) -> Tensor:
    """Return (count, n) ascending slots after BOS at which n pieces of `width` tokens fit without overlap."""
    units = length - 1 - n * (width - 1)  # a piece counts as one unit, a filler token as another
    if units < n:
        raise InvalidInput(f"{n} pieces of {width} tokens do not fit into {length}: make the context longer.")
    chosen = torch.rand(count, units, generator=rng).argsort(-1)[:, :n].sort(-1).values
    return 1 + chosen + torch.arange(n) * (width - 1)


def span(starts: Tensor, width: int) -> Tensor:
    """Return (…, width) slots from each start on."""
    return starts[..., None] + torch.arange(width)


def asked(name: str, context: Tensor, starts: Tensor, keys: Tensor, values: Tensor, rng: torch.Generator) -> Task:
    """Return the task that asks for each of keys (N, K) once, in random order; its values (N, K, a) follow it."""
    order = torch.rand(starts.shape, generator=rng).argsort(-1)  # (N, K)
    answers = values.gather(1, order[..., None].expand_as(values))
    slots = span(starts.gather(1, order), values.shape[-1] + 1)
    return Task(name, context, keys.gather(1, order)[..., None], answers, slots)
