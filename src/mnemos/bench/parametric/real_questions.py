"""What is asked of a real model before and after it learned facts of conversations, item by item.

Item by item, so that the same answers tell two things: weights attached to every prompt, and attached to those prompts that ask
for what was learned, where all others are answered by the model itself.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from mnemos.bench.parametric import conversations
from mnemos.migrate.asked import Questions
from mnemos.parametric import measure
from mnemos.parametric.base import Example
from mnemos.parametric.tokens import Row, pad_of, padded, prompt_ids, row_of

SAID = 16  # tokens of an answer that may be read
BATCH = 23  # turns that are read at once
CHOSEN_ON = 400  # of zsRE's questions
WINDOW = 700  # characters of a general text that are read at once


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said: 1 or 0 for each question of a measure, and (nats, tokens) for each window of a general text."""

    right: dict[str, list[float]]
    losses: dict[str, list[tuple[float, int]]]

    def where(self, asked: Answers, other: Answers) -> Answers:
        """Return these answers where `asked` is 1, and the other ones elsewhere."""
        return Answers(
            {n: _chosen(asked.right[n], self.right[n], other.right[n]) for n in self.right},
            {n: _chosen([x for x, _ in asked.losses[n]], self.losses[n], other.losses[n]) for n in self.losses},
        )

    def measures(self) -> dict[str, Any]:
        """Return the share that is right by measure, and the perplexity by text."""
        texts = {n: math.exp(sum(x for x, _ in found) / sum(k for _, k in found)) for n, found in self.losses.items()}
        return {name: fmean(found) for name, found in self.right.items()} | {"perplexity": texts}


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks a model for all that is measured."""

    model: Any
    tokenizer: Any
    asked: dict[str, list[Example]]  # answered where a greedy model says exactly these words
    read: list[Example]  # answered where the words are among those that it says
    texts: dict[str, list[str]]

    @classmethod
    def of(
        cls, model: Any, tokenizer: Any, new: Sequence[Example], others: Sequence[Example], old: Sequence[Example],
        texts: dict[str, str],
    ) -> Asker:  # fmt: skip
        """Return what asks for new facts, other turns that are read, old facts, and general texts."""
        asked = {
            "recall": list(new),
            "paraphrase": conversations.held_out(list(new)),
            "context wins": [replace(e, prompt=e.context + e.prompt) for e in measure.conflicting(new)],
            "old": list(old),
        }
        cut = {name: [text[i : i + WINDOW] for i in range(0, len(text), WINDOW)] for name, text in texts.items()}
        read = [replace(e, prompt=e.context + e.prompt) for e in others]
        return cls(model, tokenizer, asked, read, cut)

    def answers(self) -> Answers:
        """Return what the model says as it is now."""
        at = self.model, self.tokenizer
        right = {
            name: [float(r) for r in measure.said(*at, [row_of(self.tokenizer, e.prompt, e.answer) for e in found])]
            for name, found in self.asked.items()
        }
        right["in context"] = self._reads()
        losses = {}
        for name, windows in self.texts.items():
            found = [measure.general_loss(*at, [window], WINDOW) for window in windows]
            losses[name] = [(each.value * each.n, each.n) for each in found]
        return Answers(right, losses)

    def asks(self, learned: Sequence[Example]) -> Answers:
        """Return which prompts ask for what was learned, in the shape of answers."""
        questions = Questions.of({"": learned})

        def of(prompts: Sequence[str]) -> list[float]:
            return [float(bool(questions.asked(prompt))) for prompt in prompts]

        right = {name: of([e.prompt for e in found]) for name, found in self.asked.items()}
        right["in context"] = of([e.prompt for e in self.read])
        return Answers(right, {name: [(x, 1) for x in of(windows)] for name, windows in self.texts.items()})

    def first_token(self, context: str) -> float:
        """Return the time to the first token of questions after a text, the median of three, in milliseconds."""
        times = []
        for example in self.asked["recall"][:3]:
            ids = torch.tensor([self.tokenizer(context + example.prompt)["input_ids"]])
            started = time.perf_counter()
            with torch.no_grad():
                self.model(ids, logits_to_keep=1)
            times.append(1000 * (time.perf_counter() - started))
        return round(median(times), 1)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _reads(self) -> list[float]:
        """Return for each turn whether the words of its answer are among those that a greedy model says."""
        right: list[float] = []
        for at in range(0, len(self.read), BATCH):
            part = self.read[at : at + BATCH]
            rows = [Row(tuple(prompt_ids(self.tokenizer, e.prompt)), 1) for e in part]
            batch = padded(rows, pad_of(self.tokenizer))
            out = self.model.generate(
                batch.ids, attention_mask=batch.mask, max_new_tokens=SAID, do_sample=False,
                pad_token_id=pad_of(self.tokenizer),
            )  # fmt: skip
            said = self.tokenizer.batch_decode(out[:, batch.ids.shape[1] :])
            right += [
                float(e.answer.strip().casefold() in words.casefold()) for e, words in zip(part, said, strict=True)
            ]
        return right


def known(model: Any, tokenizer: Any, path: Path, n: int) -> list[Example]:
    """Return n facts of CounterFact that the model answers before anything is learned."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[: 8 * n]]
    examples = [Example(row["prompt"], f" {row['ground_truth']}") for row in rows]
    said = measure.said(model, tokenizer, [row_of(tokenizer, e.prompt, e.answer) for e in examples])
    return [e for e, right in zip(examples, said, strict=True) if right][:n]


def recognised(path: Path) -> dict[str, float]:
    """Return the share of zsRE's rephrased questions that ask for their own question, and that ask for another one.

    Each question stands for weights of its own. The first 400 are left out: the share of words that is enough was chosen on them.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][CHOSEN_ON:]
    questions = Questions.of({str(i): [Example(row["src"], "")] for i, row in enumerate(rows)})
    asked = [questions.asked(row["rephrase"]) for row in rows]
    own = [str(i) in found for i, found in enumerate(asked)]
    others = [bool(set(found) - {str(i)}) for i, found in enumerate(asked)]
    return {"questions": len(rows), "own": fmean(own), "others": fmean(others)}


def middle(path: Path, characters: int) -> str:
    """Return a part of a text from its middle, where no licence stands."""
    text = path.read_text(encoding="utf-8")
    return text[len(text) // 2 :][:characters]


def _chosen(asked: Sequence[float], these: list[Any], others: list[Any]) -> list[Any]:
    return [a if on else b for on, a, b in zip(asked, these, others, strict=True)]
