"""Documents that go into weights one after another, and one that is taken out again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parametric import tiny
from mnemos.bench.parametric.one_document import RECIPE, measures, texts
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
EACH = {  # an adapter for each document: how it is trained, whether the earlier ones are attached then, and the most documents
    "an adapter each, silent on the model": (SEVERAL, False, 5),
    "an adapter each, silent on the earlier ones too": (SEVERAL, True, 50),
    "an adapter each, no anchor": (PLAIN, False, 50),
}
ONE = {"one adapter, no anchor": (PLAIN, 50)}


def documents(n: int, seed: int) -> list[list[Example]]:
    """Return documents of FACTS facts each; no name is in two of them."""
    names = random.Random(seed).sample(tiny.TOLD, n * FACTS)
    return [tiny.document(FACTS, 1000 * seed + i, names[i * FACTS : (i + 1) * FACTS]) for i in range(n)]


def run(model: Any, tokenizer: Any, lengths: Sequence[int], seed: int) -> dict[int, dict[str, dict[str, float]]]:
    """Return the measures of all strategies after so many documents each, with a document taken out where there are two."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    docs = documents(max(lengths), seed)
    found: dict[int, dict[str, dict[str, float]]] = {n: {} for n in lengths}
    for name, (training, earlier, most) in EACH.items():
        made: list[Learned] = []
        for i, examples in enumerate(docs[:most]):
            learned = CARRIER.create(model, examples, tokenizer, seed + i)
            with attached(model, made if earlier else ()):
                train(
                    model, tokenizer, learned, examples, replace(training, seed=seed + i), texts=_texts(training, seed)
                )
            made.append(learned)
            if (n := i + 1) in found:
                found[n][name] = after(model, tokenizer, made, docs[:n])
                if n > 1:
                    found[n][name] |= removal(model, tokenizer, made, docs[:n], seed, before)
    for name, (training, most) in ONE.items():
        single = CARRIER.create(model, docs[0], tokenizer, seed)
        for i, examples in enumerate(docs[:most]):
            train(model, tokenizer, single, examples, replace(training, seed=seed + i), texts=_texts(training, seed))
            if (n := i + 1) in found:
                found[n][name] = after(model, tokenizer, [single], docs[:n])
    return found


def _texts(training: Training, seed: int) -> list[str]:
    return texts(seed) if training.objective.silent else []


@contextmanager
def attached(model: Any, found: Sequence[Learned]) -> Iterator[None]:
    """Attach memories, all at once."""
    with ExitStack() as stack:
        for learned in found:
            stack.enter_context(learned.attach(model))
        yield


def after(model: Any, tokenizer: Any, found: Sequence[Learned], docs: Sequence[list[Example]]) -> dict[str, float]:
    """Return what is known of all documents, and what else fell."""
    with attached(model, found):
        row = measures(model, tokenizer, [e for examples in docs for e in examples])
        row["first"] = measure.recall(model, tokenizer, docs[0]).value
    return row | {"bytes": sum(learned.nbytes for learned in found)}


def removal(
    model: Any,
    tokenizer: Any,
    found: Sequence[Learned],
    docs: Sequence[list[Example]],
    seed: int,
    before: dict[str, Tensor],
) -> dict[str, float]:
    """Take one document's adapter out; return what is left of it and of the others, and whether the model is as it was."""
    out = random.Random(seed).randrange(len(found))
    others = [e for i, examples in enumerate(docs) if i != out for e in examples]
    with attached(model, found):
        known = measure.said(model, tokenizer, [row_of(tokenizer, e.prompt, e.answer) for e in others])
    with attached(model, [learned for i, learned in enumerate(found) if i != out]):
        still = measure.said(model, tokenizer, [row_of(tokenizer, e.prompt, e.answer) for e in others])
        removed = measure.recall(model, tokenizer, docs[out]).value
    state = model.state_dict()
    return {
        "removed": removed,
        "unchanged": sum(a == b for a, b in zip(known, still, strict=True)) / len(known),
        "bit-exact": float(all(torch.equal(state[name], tensor) for name, tensor in before.items())),
    }
