"""Texts read alone and joined, with a share of their tokens computed again: `mnemos bench kv-joined`.

A real model reads memories of LoCoMo (turns of one conversation, those with the evidence of the questions among them)
and pieces of a book with a fact in each: together, and each alone behind a BOS token, joined in another order than they
were read. Of the joined tokens a share is computed again, chosen for the question (`activation.recall.blend`). Reported
are the questions answered, how often the model's first choices for the tokens of a reference answer are the same as after
reading all together, the mean log-likelihood of such a token, and the processor time to the first token of an answer, on
one thread.

LoCoMo's answers are scored by the F1 of their words; a fact counts when the model's first choices are the answer.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mnemos.bench.cells import percent
from mnemos.bench.kv import joined_texts
from mnemos.bench.kv.joined_texts import Context
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from mnemos.activation import MemoryCache

SAID = 8  # tokens of an answer
TOGETHER, AS_BEFORE, NO_QUESTION = "read together", "no sink, nothing again", "15 %, no question"
GENERATED = (TOGETHER, "0 %", "15 %", AS_BEFORE)  # ways whose own words are scored, too: that takes the most time
ROUNDS = 2  # of the times


@dataclass(frozen=True)
class Options:
    """Which texts, and how many."""

    locomo: Path  # LoCoMo's JSON file
    book: Path  # a book as a text file
    model: str = "smollm2"  # folder of a causal model as transformers saves it, or smollm2
    contexts: int = 3  # of each kind
    questions: int = 4  # of each context of LoCoMo
    texts: int = 10  # of each context of LoCoMo
    facts: int = 6  # pieces of prose with a fact, of each context
    shares: tuple[float, ...] = (0.0, 0.05, 0.1, 0.15, 0.3, 1.0)  # of the tokens, computed again
    timed: int = 24  # texts of the context that is timed
    development: bool = False  # the conversations on which anything may be chosen, not the others
    seed: int = 0  # of the questions, facts and orders
    parts: tuple[str, ...] = ("memories", "facts", "times")  # what to measure
    add_to: Path | None = None  # an earlier result of the same options, whose other parts are kept


def table(result: Result) -> Rows:
    """Return what is answered by share of tokens computed again."""
    facts, memories = ["facts answered", "as together"], ["LoCoMo, F1", "as together", "log-likelihood"]
    lines: Rows = [["computed again", *facts, *memories, "first token, ms", "faster"]]
    for name, row in result["ways"].items():
        f, m, ms = row.get("facts"), row.get("memories"), row.get("first_token_ms")
        cells = ["–", "–"] if f is None else [percent(f["right"]), percent(f["same"])]
        if m is None:
            cells += ["–", "–", "–"]
        else:
            cells += ["–" if m.get("f1") is None else f"{m['f1']:.3f}", percent(m["same"]), f"{m['likelihood']:.2f}"]
        faster = "–" if ms is None else f"{result['ways'][TOGETHER]['first_token_ms'] / ms:.1f} ×"
        lines.append([name, *cells, "–" if ms is None else f"{ms:,.0f}", faster])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what joining with 15 % computed again answers."""
    if (entry.form, entry.name) != ("activation", "cacheblend") or "15 %" not in result["ways"]:
        return None

    def cell(name: str) -> str:
        return percent(result["ways"][name]["facts"]["right"])

    ms = [result["ways"][name]["first_token_ms"] for name in (TOGETHER, "15 %")]
    text = f"answers {cell('15 %')} of the facts in prose, first token {ms[0] / ms[1]:.1f} times as fast"
    return Figure(text, {name: cell(name) for name in (TOGETHER, "0 %", AS_BEFORE)})


@benchmark(
    "kv-joined",
    help="Texts that a real model read alone, joined, with a share of their tokens computed again.",
    options=Options,
    tables={"kv-joined-share": table},
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Ask every question after reading together and after joining, by share."""
    from mnemos.bench.text.locomo import DEVELOPMENT

    rng = random.Random(options.seed)
    samples = list(joined_texts.conversations(options.locomo, DEVELOPMENT, options.development))
    book = joined_texts.prose(options.book)
    kinds = {
        "memories": [
            joined_texts.memories(samples[i % len(samples)], rng, options.questions, options.texts)
            for i in range(options.contexts)
        ],
        "facts": [joined_texts.facts(book, rng, options.facts) for _ in range(options.contexts)],
    }
    timed = joined_texts.memories(samples[0], rng, 1, options.timed)
    earlier = {} if options.add_to is None else json.loads(options.add_to.read_text(encoding="utf-8"))
    ways: dict[str, Any] = earlier.get("ways", {})
    tokens: int | None = earlier.get("timed_tokens")
    chosen = {kind: contexts for kind, contexts in kinds.items() if kind in options.parts}
    progress.expect(sum(len(c.asked) for contexts in chosen.values() for c in contexts) + ("times" in options.parts))
    with one_thread():
        reader = Reader.of(options)
        for kind, contexts in chosen.items():
            found: dict[str, list[Answer]] = {}
            for context in contexts:
                for name, answers in reader.answers(context, options.shares, kind == "memories", progress).items():
                    found.setdefault(name, []).extend(answers)
            for name, answers in found.items():
                ways.setdefault(name, {})[kind] = means(answers)
        if "times" in options.parts:
            tokens, times = reader.times(timed, options.shares)
            for name, ms in times.items():
                ways.setdefault(name, {})["first_token_ms"] = round(ms, 1)
            progress(1)
    return {
        "seed": options.seed, "model": Path(options.model).name, "contexts": options.contexts,
        "questions": {kind: sum(len(c.asked) for c in contexts) for kind, contexts in kinds.items()},
        "half": "development" if options.development else "report", "timed_tokens": tokens, "ways": ways,
    }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """One answer beside the reference's, and beside what the model says after reading all together."""

    right: bool  # the reference answer's tokens are the model's first choices
    f1: float | None  # of the words said; None: nothing was generated
    same: bool  # the first choices for the tokens of the reference answer are the same
    likelihood: float  # mean log-likelihood of the reference answer's tokens


def means(answers: Sequence[Answer]) -> dict[str, float]:
    """Return the means of some answers, of those figures that all of them have."""
    names = ("right", "same", "likelihood", *(("f1",) if answers[0].f1 is not None else ()))
    return {name: round(fmean(float(getattr(a, name)) for a in answers), 4) for name in names}


def f1(said: str, reference: str) -> float:
    """Return the F1 of the words of an answer."""
    ours, theirs = (re.findall(r"\w+", text.lower()) for text in (said, reference))
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


@dataclass
class Reader:
    """A model that reads contexts in each way and answers."""

    model: Any
    tokenizer: Any
    sink: list[int] = field(default_factory=list)

    @staticmethod
    def of(options: Options) -> Reader:
        """Return the model of the options."""
        from mnemos.activation.pretrained import load_decoder, load_tokenizer

        tokenizer = load_tokenizer(options.model)
        bos = tokenizer.bos_token_id
        sink = [bos] if bos is not None else tokenizer("\n", add_special_tokens=False)["input_ids"]
        return Reader(load_decoder(options.model), tokenizer, sink)

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def ways(
        self, context: Context, shares: Sequence[float], alone: bool = True
    ) -> tuple[Tensor, dict[str, Callable[[Tensor], MemoryCache]]]:
        """Return the tokens of a context, and how each way makes its cache for a question."""
        import torch

        from mnemos.activation import MemoryCache, read
        from mnemos.activation.recall.blend import Blend, read_alone
        from mnemos.activation.rotary import checked_rotary

        rotary = checked_rotary(self.model)
        texts = [self.ids(text) for text in context.texts]
        ids = torch.tensor([*self.sink, *(t for text in texts for t in text)])
        segments = [read_alone(self.model, self.sink, text) for text in texts]

        def together(question: Tensor) -> MemoryCache:
            cache = MemoryCache(self.model)
            read(self.model, ids[None], cache, logits_to_keep=1)
            return cache

        def blended(share: float, choose: Any = "question") -> Callable[[Tensor], MemoryCache]:
            return lambda q: Blend(share, choose).read(self.model, ids, segments, len(self.sink), q, rotary)

        ways = {TOGETHER: together} | {f"{100 * s:g} %": blended(s) for s in shares if s < 1}
        if alone:
            bare = [read_alone(self.model, [], text) for text in texts]
            ways[AS_BEFORE] = lambda q: Blend(0.0).read(self.model, ids[len(self.sink) :], bare, 0)
            ways[NO_QUESTION] = blended(0.15, "deviation")
        return ids, ways

    def answers(
        self, context: Context, shares: Sequence[float], free: bool, progress: Progress
    ) -> dict[str, list[Answer]]:
        """Return the answers of every way, in the order of the questions; generated when `free`."""
        import torch

        found: dict[str, list[Answer]] = {}
        _, ways = self.ways(context, shares)
        whole = ways[TOGETHER](torch.empty(0))
        for ask, reference in context.asked:
            question, answer = torch.tensor(self.ids(ask)), torch.tensor(self.ids(reference)[:SAID])
            first: list[int] = []
            for name, way in ways.items():
                cache = whole.copy() if name == TOGETHER else way(question)
                generated = free and name in GENERATED
                logprobs, said = self.said(cache, question, answer, generated)
                says = logprobs.argmax(-1).tolist()
                first = says if name == TOGETHER else first
                score = f1(said, reference) if generated else None
                right = bool((logprobs.argmax(-1) == answer).all())
                likelihood = float(logprobs[torch.arange(len(answer)), answer].mean())
                found.setdefault(name, []).append(Answer(right, score, says == first, likelihood))
            progress(1)
        return found

    def said(self, cache: MemoryCache, question: Tensor, answer: Tensor, free: bool) -> tuple[Tensor, str]:
        """Return the log-probabilities of the answer's tokens (a, V), and the line that the model says when `free`."""
        import torch

        from mnemos.activation import attached

        tokens: list[int] = []
        with torch.no_grad(), attached(self.model):
            logits = self.model(torch.cat((question, answer))[None], past_key_values=cache).logits[0].float()
            logprobs = logits[len(question) - 1 : -1].log_softmax(-1)
            cache.crop(-len(answer))
            token = int(logprobs[0].argmax())
            while free and len(tokens) < SAID and "\n" not in self.tokenizer.decode([token]):
                tokens.append(token)
                token = int(self.model(torch.tensor([[token]]), past_key_values=cache).logits[0, -1].argmax())
        return logprobs, str(self.tokenizer.decode(tokens)).strip()

    def times(self, context: Context, shares: Sequence[float]) -> tuple[int, dict[str, float]]:
        """Return the number of tokens, and the least processor time to the first token of an answer, ms, by way."""
        import torch

        from mnemos.activation import read

        ids, ways = self.ways(context, shares, alone=False)
        question = torch.tensor(self.ids(context.asked[0][0]))
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):
            for name, way in ways.items():
                started = time.process_time()
                cache = way(question)
                read(self.model, question[None], cache, logits_to_keep=1)
                least[name] = min(least[name], 1000 * (time.process_time() - started))
        return len(ids), least
