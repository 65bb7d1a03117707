"""Documents that go into weights one after another, and one that is taken out again.

Adapters are attached to every prompt, all at once, where they are summed; or each to the prompts that ask for its document
(`migrate.asked`), where each may be trained alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parametric import tiny
from mnemos.bench.parametric.one_document import RECIPE, general, questions, texts
from mnemos.migrate.asked import Questions
from mnemos.parametric import measure
from mnemos.parametric.base import Example, Learned
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.probes import Probes
from mnemos.parametric.tokens import row_of
from mnemos.parametric.training import Objective, Training, train

FACTS = 4  # of a document: names are told once, and there are few
CARRIER = Adapter(rank=8, alpha=16)
PROBES = Probes(random=600, neighbours=300, sampled=0, repeated=16)  # single names above all: they are what others know
AIM = Objective(amid=0, silent=3, probes=PROBES)
SEVERAL = replace(RECIPE, steps=160, rate=8e-3, probed=10, brief=128, sure=0.97, objective=AIM)
PLAIN = replace(RECIPE, objective=Objective(answers=1, distil=0, silent=0))
FEW = Probes(random=64, repeated=8, sampled=0, neighbours=16, episodes=32, conflicts=32, length=16)
APART = replace(RECIPE, steps=60, rate=8e-3, batch=FACTS, probed=8, objective=Objective(amid=0.25, probes=FEW))
WHEN_ASKED = "an adapter each when asked"
EACH = {  # an adapter for each document: how it is trained, whether the earlier ones are attached then, and the most documents
    WHEN_ASKED: (APART, False, 50),
    "an adapter each when asked, no anchor": (PLAIN, False, 50),
    "an adapter each, silent on the model": (SEVERAL, False, 5),
    "an adapter each, silent on the earlier ones too": (SEVERAL, True, 50),
    "an adapter each, no anchor": (PLAIN, False, 50),
}
ONE = {"one adapter, no anchor": (PLAIN, 50)}


def documents(n: int, seed: int) -> list[list[Example]]:
    """Return documents of FACTS facts each; no name is in two of them."""
    names = random.Random(seed).sample(tiny.TOLD, n * FACTS)
    return [tiny.document(FACTS, 1000 * seed + i, names[i * FACTS : (i + 1) * FACTS]) for i in range(n)]


def run(
    model: Any, tokenizer: Any, lengths: Sequence[int], seed: int, strategies: Sequence[str] = ()
) -> dict[int, dict[str, dict[str, float]]]:
    """Return the measures of strategies after so many documents each, with a document taken out where there are two."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    docs = documents(max(lengths), seed)
    found: dict[int, dict[str, dict[str, float]]] = {n: {} for n in lengths}
    for name, (training, earlier, most) in EACH.items():
        if strategies and name not in strategies:
            continue
        made: list[Learned] = []
        for i, examples in enumerate(docs[:most]):
            learned = CARRIER.create(model, examples, tokenizer, seed + i)
            with attached(model, made if earlier else ()):
                train(
                    model, tokenizer, learned, examples, replace(training, seed=seed + i), texts=_texts(training, seed)
                )
            made.append(learned)
            if (n := i + 1) in found:
                answers = Answering(model, tokenizer, dict(enumerate(made)), docs[:n], "when asked" in name)
                found[n][name] = answers.measures()
                if n > 1:
                    found[n][name] |= removal(answers, seed, before)
    for name, (training, most) in ONE.items():
        if strategies and name not in strategies:
            continue
        single = CARRIER.create(model, docs[0], tokenizer, seed)
        for i, examples in enumerate(docs[:most]):
            train(model, tokenizer, single, examples, replace(training, seed=seed + i), texts=_texts(training, seed))
            if (n := i + 1) in found:
                found[n][name] = Answering(model, tokenizer, {0: single}, docs[:n], False).measures()
    return found


def _texts(training: Training, seed: int) -> list[str]:
    return texts(seed) if training.objective.silent else []


@contextmanager
def attached(model: Any, found: Iterable[Learned]) -> Iterator[None]:
    """Attach memories, all at once."""
    with ExitStack() as stack:
        for learned in found:
            stack.enter_context(learned.attach(model))
        yield


@dataclass(frozen=True)
class Answering:
    """A model with memories of documents: all attached to every prompt, or each to the prompts that ask for its document."""

    model: Any
    tokenizer: Any
    found: Mapping[int, Learned]  # by the number of the document
    docs: Sequence[list[Example]]
    when_asked: bool

    def said(self, examples: Sequence[Example]) -> list[bool]:
        """Return for each example whether its answer is said."""
        right = [False] * len(examples)
        for wanted, which in self._groups([e.prompt for e in examples]).items():
            rows = [row_of(self.tokenizer, examples[i].prompt, examples[i].answer) for i in which]
            with attached(self.model, [self.found[n] for n in wanted]):
                for i, known in zip(which, measure.said(self.model, self.tokenizer, rows), strict=True):
                    right[i] = known
        return right

    def measures(self) -> dict[str, float]:
        """Return what is known of all documents, and what else fell."""
        asked = questions([e for examples in self.docs for e in examples]) | {"first": self.docs[0]}
        row = {name: fmean(self.said(examples)) for name, examples in asked.items()}
        losses = []
        other = general()
        for wanted, which in self._groups(other).items():
            with attached(self.model, [self.found[n] for n in wanted]):
                losses += [measure.general_loss(self.model, self.tokenizer, [other[i]]) for i in which]
        row["loss"] = sum(each.value * each.n for each in losses) / sum(each.n for each in losses)
        return row | {"bytes": sum(learned.nbytes for learned in self.found.values())}

    def _groups(self, prompts: Sequence[str]) -> dict[tuple[int, ...], list[int]]:
        """Return which prompts have the same memories attached."""
        if not self.when_asked:
            return {tuple(self.found): list(range(len(prompts)))}
        learned = Questions.of({str(n): self.docs[n] for n in self.found})
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, prompt in enumerate(prompts):
            groups.setdefault(tuple(int(n) for n in learned.asked(prompt)), []).append(i)
        return groups


def removal(answers: Answering, seed: int, before: Mapping[str, Tensor]) -> dict[str, float]:
    """Take one document's adapter out; return what is left of it and of the others, and whether the model is as it was."""
    out = random.Random(seed).randrange(len(answers.found))
    others = [e for i, examples in enumerate(answers.docs) if i != out for e in examples]
    left = replace(answers, found={i: learned for i, learned in answers.found.items() if i != out})
    known, still = answers.said(others), left.said(others)
    state = answers.model.state_dict()
    return {
        "removed": fmean(left.said(answers.docs[out])),
        "unchanged": sum(a == b for a, b in zip(known, still, strict=True)) / len(known),
        "bit-exact": float(all(torch.equal(state[name], tensor) for name, tensor in before.items())),
    }
