"""Trials of a real model: contexts in tokens, with what is asked about them, and their recorded prefills."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnemos.activation import MemoryCache
from mnemos.activation.compress.sample import SAMPLE
from mnemos.activation.compress.spectrum import Spectrum, find_spectrum
from mnemos.activation.pretrained import folder_of, load_decoder, load_tokenizer
from mnemos.bench.kv.passages import MAKERS, Passage, Question, fill
from mnemos.bench.kv.prose import Half, Prose, prose
from mnemos.bench.kv.recorded import Prefill, prefill_of
from mnemos.bench.registry import near
from mnemos.errors import InvalidInput

LENGTH = 512  # tokens of a context, at most
NEXT = 96  # tokens whose loss is measured
FIRST = 2  # questions of a context for which it is compressed, each in its turn
ASKED = 5  # questions in turn over one compressed context
KNOWN, TURNS = "facts-known", "turns"  # two tasks, measured by the same trials
DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True)
class Ask:
    """A question and its answer in tokens."""

    question: tuple[int, ...]
    answer: tuple[int, ...]
    choices: tuple[int, ...] = ()  # first tokens of the answers to choose from; none: the model says it by itself


@dataclass(frozen=True)
class Trial:
    """One context of a task."""

    task: str
    seed: int
    ids: Tensor  # (1, T)
    asks: tuple[Ask, ...] = ()
    loss: Tensor | None = None  # (1, n), the tokens that follow, of which the loss is measured
    in_turn: bool = False  # the questions are asked one after another of one cache; the first one it was compressed for
    stepwise: bool = False  # the context is read a few tokens at a time, and evicted from in between


TASKS: dict[str, str] = {
    "facts": "facts about people between the sentences of a novel",
    KNOWN: "the same, and the context ends in the question",
    TURNS: "third to fifth question after the one that the context ended in",
    "keys": "facts of one kind, in whose questions only the name differs",
    "table": "rows of a table",
    "code": "settings between the functions of a program",
    "examples": "labels by example",
    "loss": f"nats a token, of the {NEXT} that follow in a novel: less is better",
    "facts-decode": "facts, read a few tokens at a time",
    "loss-decode": "loss, read a few tokens at a time",
}


@dataclass
class RealModel:
    """A decoder with its tokenizer, the prose that its contexts are made of, and the folder of its prefills."""

    name: str  # of the model and its dtype, for the names of prefills
    model: Any
    tokenizer: Any
    prose: Prose
    cache: Path | None = None  # where prefills are kept; None: nowhere
    length: int = LENGTH

    @staticmethod
    def load(
        model: str | Path, books: Path | None = None, half: Half = "report", cache: Path | None = None,
        dtype: str = "bfloat16", length: int = LENGTH,
    ) -> RealModel:  # fmt: skip
        """Return the model in a folder of transformers, or `smollm2`, which `mnemos models build` has built.

        Downloads nothing, and runs no code of the model's. Raises InvalidInput for a folder without a model, and ModelError where
        smollm2 has not been built.
        """
        if dtype not in DTYPES:
            raise InvalidInput(f"dtype is {dtype!r}: {near(dtype, DTYPES)}")
        made, tokenizer, folder = load_decoder(model, getattr(torch, dtype)), load_tokenizer(model), folder_of(model)
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        name = f"{made.config.model_type} {weights} {dtype} {torch.__version__}"
        return RealModel(name, made.requires_grad_(False), tokenizer, prose(books, half), cache, length)

    @cached_property
    def token_bytes(self) -> int:
        """Bytes of the keys and values of one token, in the model's own dtype."""
        from transformers import DynamicCache

        cache = DynamicCache()
        with torch.no_grad():
            self.model(torch.zeros(1, 1, dtype=torch.long), past_key_values=cache)
        return sum(int(layer.keys.nbytes + layer.values.nbytes) for layer in cache.layers)

    @cached_property
    def spectrum(self) -> Spectrum:
        """What transform coding has to know of the model, found from the sample text that comes with Mnemos."""
        ids = torch.tensor([self.tokens(SAMPLE)])
        with torch.no_grad():
            found: Spectrum = find_spectrum(self.model, ids, MemoryCache(self.model).rotary())
        return found

    def full_bytes(self, tokens: int) -> int:
        """Bytes of a full cache."""
        return self.token_bytes * tokens

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, without any that the tokenizer adds."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def prefill(self, trial: Trial) -> Prefill:
        """Return the recorded prefill of a trial's context."""
        return prefill_of(self.model, self.name, trial.ids, self.cache)

    def trials(self, tasks: Sequence[str], contexts: int) -> list[Trial]:
        """Return the trials of tasks, `contexts` of each: the same for the same model, prose and length.

        Raises InvalidInput for an unknown task.
        """
        found: list[Trial] = []
        for task in dict.fromkeys(KNOWN if task == TURNS else task for task in tasks):
            if task not in TASKS:
                raise InvalidInput(f"there is no task {task!r}: {near(task, TASKS)}")
            for seed in range(contexts):
                found += self._trials(task, seed)
        return found

    def _trials(self, task: str, seed: int) -> list[Trial]:
        kind = task.partition("-")[0]
        rng = random.Random(f"{kind} {seed}")
        told, stepwise = self.prose.passage(rng), task.endswith("-decode")
        if kind == "loss":
            text = " ".join(fill(told, "", lambda text: len(self.tokens(text)) <= self.length + NEXT + 64))
            ids = torch.tensor([self.tokens(text)[: self.length + NEXT]])
            return [Trial(task, seed, ids[:, : self.length], loss=ids[:, self.length :], stepwise=stepwise)]
        room = self.length - 24 if task == KNOWN else self.length
        passage = MAKERS[kind](told, rng, lambda text: len(self.tokens(text)) <= room)
        if task == KNOWN:
            return [self._known(seed, passage, first) for first in range(FIRST)]
        asks = tuple(self._ask(question) for question in passage.questions)
        return [Trial(task, seed, torch.tensor([self.tokens(passage.context)]), asks, stepwise=stepwise)]

    def _known(self, seed: int, passage: Passage, first: int) -> Trial:
        """Return the trial whose context ends in one of the questions, with the others after it."""
        order = [*passage.questions[first:], *passage.questions[:first]][:ASKED]
        ids = torch.tensor([self.tokens(passage.context) + self.tokens(f"\n\nQuestion: {order[0].ask}")])
        known = Ask(tuple(self.tokens(f"\nAnswer: {order[0].cue}")), tuple(self.tokens(order[0].answer)))
        return Trial(KNOWN, seed, ids, (known, *(self._ask(question) for question in order[1:])), in_turn=True)

    def _ask(self, question: Question) -> Ask:
        lead = f"\n\nQuestion: {question.ask}\nAnswer: " if question.ask else "\n"
        choices = tuple(self.tokens(choice)[0] for choice in question.choices)
        return Ask(tuple(self.tokens(lead + question.cue)), tuple(self.tokens(question.answer)), choices)
