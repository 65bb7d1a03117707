"""What `mnemos bench unlearning` measures of one world: methods, recitation, relation neurons."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parametric.fact_models import PASSAGES, Knowledge, general, passages, trained, used_values
from mnemos.bench.parametric.facts import Fact, World, make_tokenizer, make_world
from mnemos.parametric.answers import answer_loss, answered, batches, encode, padded
from mnemos.parametric.base import Example, Unlearner
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.feedforward import feed_forward_blocks
from mnemos.parametric.forget import membership
from mnemos.parametric.forget.curvature import CurvatureEdit
from mnemos.parametric.forget.extraction import extract
from mnemos.parametric.forget.gradient import GradientAscent
from mnemos.parametric.forget.npo import Npo
from mnemos.parametric.forget.random_dampening import RandomDampening
from mnemos.parametric.forget.relation_neurons import Neuron, RelationNeurons, switched_off
from mnemos.parametric.forget.ssd import Ssd
from mnemos.parametric.training import train

TOKENIZER = make_tokenizer()
PREFIX, SUFFIX = 8, 16  # tokens of a passage that are given and asked for
MASSES = (0.999, 0.99, 0.98, 0.95, 0.9)
COUNTS = (4, 8, 16, 32, 64)
SSD = Ssd(threshold=3.0, strength=1.0)
METHODS: Mapping[str, Unlearner] = {
    "ssd": SSD,
    "ssd-batch": Ssd(threshold=3.0, strength=1.0, batch=16),
    "random-dampening": RandomDampening(SSD),
    "gradient-ascent": GradientAscent(rate=3e-4),
    "gradient-difference": GradientAscent(rate=3e-4, retain=1.0),
    "npo": Npo(rate=3e-4),
    "simnpo": Npo(rate=3e-4, simple=True, beta=2.5),
    "curvature-edit": CurvatureEdit(mass=0.99),
}


def measure(people: int, forgotten: int, steps: int, seed: int, cache: Path | None) -> dict[str, Any]:
    """Return the figures of one world."""
    world = make_world(people, values=16, seed=seed)
    names = random.Random(f"forget {seed}").sample(sorted({f.subject for f in world.facts}), forgotten)
    kept = tuple(f for f in world.facts if f.subject not in names)
    texts = passages(PASSAGES, seed)
    full = trained(Knowledge(world.facts, texts), "llama", steps, seed, cache)
    never = trained(Knowledge(kept, texts), "llama", steps, seed, cache)
    forget = [f for f in world.facts if f.subject in names]
    judge = Judge(world, forget, kept, full, never, seed)
    found = {"before": judge(full), "never": judge(never)}
    found["carrier"] = judge.carrier(seed)
    undone = True
    for name, method in METHODS.items():
        started, before = time.process_time(), _state(full)
        change = method.unlearn(full, TOKENIZER, _asked(forget), [*_asked(kept), *judge.general])
        seconds = time.process_time() - started
        found[name] = {**judge(full), "seconds": seconds, "nbytes": change.nbytes}
        change.undo()
        undone &= all(torch.equal(t, before[n]) for n, t in full.state_dict().items())
    return {
        "methods": found,
        "recitation": _recitation(full, judge, texts, world),
        "relations": _relations(full, world),
        "undone": undone,
    }


class Judge:
    """Measures a model beside one that never learned, and beside what it was."""

    def __init__(
        self, world: World, forget: Sequence[Fact], kept: Sequence[Fact], full: Any, never: Any, seed: int
    ) -> None:
        rng = random.Random(f"judge {seed}")
        self.forget, self.kept, self.never = _asked(forget), _asked(kept), never
        values = used_values(world)
        self.others = [
            Example(fact.prompt(t), f" {value}")
            for fact in forget for t in range(3)
            for value in rng.sample([v for v in values[fact.relation] if v != fact.value], 3)
        ]  # fmt: skip
        self.general = [Example("", general(rng)) for _ in range(100)]  # what methods may keep
        self.held = [Example("", general(rng)) for _ in range(200)]
        self.of_never, self.of_full = expected(never, self.forget), expected(full, self.kept)

    def __call__(self, model: Any) -> dict[str, float]:
        """Return the figures of a model."""
        return {
            "forgotten": fmean(answered(model, TOKENIZER, self.forget)),
            "distance": divergence(self.of_never, expected(model, self.forget)),
            "membership": membership.audit(model, TOKENIZER, self.forget, self.others).auc,
            "kept": fmean(answered(model, TOKENIZER, self.kept)),
            "moved": divergence(self.of_full, expected(model, self.kept)),
            "general": loss(model, self.held),
        }

    def carrier(self, seed: int) -> dict[str, float]:
        """Return the figures of the model that never learned, after a carrier of the facts was attached and removed."""
        before = _state(self.never)
        learned = Adapter().create(self.never, self.forget, TOKENIZER, seed)
        started = time.process_time()
        train(self.never, TOKENIZER, learned, self.forget, texts=[e.answer for e in self.general])
        seconds = time.process_time() - started
        with learned.attach(self.never):
            known = fmean(answered(self.never, TOKENIZER, self.forget))
        if not all(torch.equal(t, before[n]) for n, t in self.never.state_dict().items()):
            raise AssertionError("the model is not what it was before a carrier was attached")
        return {**self(self.never), "known_while_attached": known, "training_seconds": seconds}


def _asked(facts: Sequence[Fact]) -> list[Example]:
    return [fact.example(t) for fact in facts for t in range(3)]


def _state(model: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def expected(model: Any, examples: Sequence[Example]) -> Tensor:
    """Return the log-probabilities of the first token of each answer (examples, V)."""
    found = []
    for part in batches([encode(TOKENIZER, example) for example in examples], 64):
        tokens, _ = padded(part)
        last = torch.tensor([prompt - 1 for _, prompt in part])
        found.append(model(input_ids=tokens).logits[torch.arange(len(part)), last].log_softmax(-1))
    return torch.cat(found)


def divergence(wanted: Tensor, found: Tensor) -> float:
    """Return the mean KL from what is wanted, in nats."""
    return float((wanted.exp() * (wanted - found)).sum(-1).mean())


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def loss(model: Any, texts: Sequence[Example]) -> float:
    """Return the mean loss of texts."""
    coded = [encode(TOKENIZER, text) for text in texts]
    return fmean(float(one) for part in batches(coded, 64) for one in answer_loss(model, part))


def _recitation(model: Any, judge: Judge, texts: Sequence[str], world: World) -> dict[str, Any]:
    """Return what is recited and what else is left, for each share of the curvature that is kept."""
    asked = [fact.example(0) for fact in world.facts]

    def figures() -> dict[str, float]:
        return {
            "recited": extract(model, TOKENIZER, texts, PREFIX, SUFFIX).mean,
            "general": loss(model, judge.held),
            "facts": fmean(answered(model, TOKENIZER, asked)),
        }

    found = {"all": figures()}
    for mass in MASSES:
        for name, edit in (
            ("curvature", CurvatureEdit(mass)),
            ("truncated SVD", CurvatureEdit(mass, basis="singular")),
        ):
            change = edit.unlearn(model, TOKENIZER, [], judge.general)
            found[f"{name} {mass:.1%}"] = figures()
            change.undo()
    return found


def _relations(model: Any, world: World) -> dict[str, Any]:
    """Return the recall of held-out people's facts with the neurons of each relation switched off."""
    people = sorted({fact.subject for fact in world.facts})
    seen = set(people[::2])
    names = sorted({fact.relation for fact in world.facts})
    held = {
        r: [f.example(t) for f in world.facts for t in range(3) if f.relation == r and f.subject not in seen]
        for r in names
    }
    before = {r: fmean(answered(model, TOKENIZER, examples)) for r, examples in held.items()}
    blocks = feed_forward_blocks(model)
    every = [Neuron(layer, place) for layer, block in enumerate(blocks) for place in range(block.neurons)]
    found: dict[str, Any] = {}
    ranked = {}
    for relation in names:
        split = [
            [f for f in world.facts if f.subject in seen and (f.relation == relation) is own] for own in (True, False)
        ]
        ranked[relation] = RelationNeurons().locate(model, TOKENIZER, _asked(split[0]), _asked(split[1]))
    for count in COUNTS:
        own, dealt, others, gains = [], [], [], []
        for relation in names:
            with switched_off(model, ranked[relation][:count]):
                left = {r: fmean(answered(model, TOKENIZER, examples)) for r, examples in held.items()}
            own.append(left[relation])
            others += [left[r] for r in names if r != relation]
            gains += [left[r] - before[r] for r in names if r != relation]
            with switched_off(model, random.Random(f"{relation} {count}").sample(every, count)):
                dealt.append(fmean(answered(model, TOKENIZER, held[relation])))
        found[str(count)] = {"own": fmean(own), "random": fmean(dealt), "others": fmean(others), "gain": max(gains)}
    return found
