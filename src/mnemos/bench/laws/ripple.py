"""The spread of one false statement (arXiv 2305.04812): direct questions, what follows from them, what is further away.

A model knows a small world by heart: where each of 24 people lives, to which region each town belongs, and who is whose friend;
and it reads what is said before a question. One false statement, that somebody lives elsewhere, is told to it: in the context,
by training all weights, or by training the embedding of the name alone, which all that is asked of the person goes through. The
rings: where the person lives; in which region; the region of the friend of another, who is that person; and where others live.
By provenance: a forum says what is false and a registry what is new and true, and an arbiter shows the registry where both
speak. The paper writes in four styles into models of 7 and 13 B parameters. That rings are in order is said where none loses
more than the one before it, but for .05: here the friend's region is known by heart, and a write in weights leaves it alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit
from mnemos.bench.laws.language import rows
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.bench.parametric.facts import SYLLABLES, make_tokenizer
from mnemos.bench.parametric.small_models import loss_of
from mnemos.parametric.base import Example
from mnemos.parametric.clashes import Evidence, arbitrate
from mnemos.parametric.ripple import answers, ripple

PAPERS = ("2305.04812",)
PEOPLE, TOWNS, REGIONS = 24, 12, 4
WIDTH, STEPS, BATCH, RATE, MUON = 64, 1200, 64, 3e-3, 2e-2
WRITES = 16  # false statements, each written into a model of its own
WRITE_STEPS, WRITE_RATE, BESIDE = 30, 1e-3, 30  # of training on one: steps, rate, other texts of a step, at most
NAME_STEPS, NAME_RATE = 40, 1e-2  # of training the embedding of a name
READ = 0.6  # share of the rows of training with statements first
ABOUT = 0.5  # of these, share whose question is about a person of the statements
COPIES = 0.3  # share of rows that are names, twice: reading is learned sooner by copying
MOVED = 3  # statements before a question, at most
ROUTES = ("context", "training", "training its name")
NEAR = 0.05  # of what is lost, that two rings may be out of order by, and that unrelated questions may lose
RINGS = ("direct", "indirect", "peripheral", "unrelated")
TRUST = ("registry", "forum")  # sources, the most trusted first


@dataclass(frozen=True)
class Graph:
    """Who lives where, and who is whose friend."""

    home: Mapping[str, str]
    region: Mapping[str, str]
    friend: Mapping[str, str]  # each person is the friend of exactly one
    towns: Sequence[str] = field(default=())


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = random.Random(f"ripple {seed}")
    graph, tokenizer = _graph(rng), make_tokenizer()
    trainer = Trainer(decoder(WIDTH, seed), RATE, muon=MUON)
    for step in range(STEPS):
        trainer.rate = RATE * min(1.0, 2 * (1 - step / STEPS))
        trainer.step(rows([_text(graph, rng) for _ in range(BATCH)]))
    model = trainer.model
    lost: dict[str, dict[str, list[float]]] = {route: {ring: [] for ring in RINGS} for route in ROUTES}
    sources: dict[str, list[bool]] = {of: [] for of in ("false", "false, arbiter", "new", "new, arbiter")}
    known: list[float] = []
    for who in rng.sample(list(graph.home), WRITES):
        rings = _rings(graph, who)
        false = _elsewhere(graph, who, rng)
        told = _moved(who, false)
        before = answers(model, tokenizer, rings)
        if not all(map(any, before.values())):
            continue  # nothing can be lost of what is not known
        known += [mean([float(right) for of in before.values() for right in of])]
        in_context = {ring: [Example(e.prompt, e.answer, context=f"{told} ") for e in of] for ring, of in rings.items()}
        after = {
            "context": answers(model, tokenizer, in_context),
            "training": answers(_trained(model, graph, who, false, rng), tokenizer, rings),
            "training its name": answers(_named(model, who, false), tokenizer, rings),
        }
        for route, now in after.items():
            for ring, share in ripple(before, now).lost.items():
                lost[route][ring].append(share)
        for name, right in _provenance(model, tokenizer, graph, who, rng).items():
            sources[name].append(right)
    return {
        "known": mean(known),
        "lost": {route: {ring: mean(of) for ring, of in by.items()} for route, by in lost.items()},
        "sources": {name: mean([float(right) for right in of]) for name, of in sources.items()},
    }


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    lost, sources = figures["lost"], figures["sources"]
    by_route = {route: [mean(by[ring]) for ring in RINGS] for route, by in lost.items()}
    fades = {
        route: all(a >= b - NEAR for a, b in pairwise(of)) and of[0] > of[2] + 0.2 and of[0] > of[-1] + 0.2
        for route, of in by_route.items()
    }
    spread = {
        route: [mean(list(of)) for of in zip(*(by[r] for r in RINGS[:-1]), strict=True)] for route, by in lost.items()
    }
    more = mean(spread["context"]) - max(mean(spread[route]) for route in ROUTES[1:])
    believed = {name: mean(of) for name, of in sources.items()}
    let_through = believed["false, arbiter"]
    accepted = believed["new, arbiter"] >= believed["new"] - 0.02
    claims = [
        Claim(
            "a false statement spoils direct questions most, then indirect, peripheral and unrelated ones, by each route",
            verdict(all(fades.values()), any(fades.values())),
            "; ".join(f"by {route}: {listed(by)}" for route, by in lost.items()) + f" (known before: {said(figures['known'])})",
        ),
        Claim(
            "unrelated questions stay as they were",
            verdict(all(of[-1] < NEAR for of in by_route.values()), any(of[-1] < NEAR for of in by_route.values())),
            ", ".join(f"by {route}: {said(by[RINGS[-1]])}" for route, by in lost.items()),
        ),
        Claim(
            "a statement in the context contaminates more than training on it",
            verdict(more > 0.05, more > 0),
            f"mean of the three rings: {listed(spread)}",
        ),
        Claim(
            "weighting texts by their source lowers it, and as many true updates are accepted",
            verdict(accepted and let_through < 0.2 * believed["false"], let_through < believed["false"]),
            f"believed: {listed(sources)}",
        ),
    ]  # fmt: skip
    curves = {f"by {route}": dict(enumerate(by[ring] for ring in RINGS)) for route, by in lost.items()}
    shown = dict(enumerate(sources.values()))
    panels = [
        Panel("ripples", "", "no longer answered", curves, ticks=RINGS),
        Panel("provenance", "", "believed", {"statements": shown}, ticks=list(sources)),
    ]
    law = fit("line", curves["by training its name"], "ripples", "by training its name")
    means = (
        "After each write ask rings around it (`ripple`): one false statement in the context spoiled "
        f"{mean(lost['context']['indirect']):.0%} of what follows from it; `clashes.arbitrate` with trusted sources first let "
        f"{let_through:.0%} of false statements through."
    )
    return reported(claims, panels, [law], means)


def _graph(rng: random.Random) -> Graph:
    names = [syllable.capitalize() for syllable in rng.sample(SYLLABLES, PEOPLE + TOWNS + REGIONS)]
    people, towns, regions = names[:PEOPLE], names[PEOPLE : PEOPLE + TOWNS], names[PEOPLE + TOWNS :]
    ring = rng.sample(people, PEOPLE)
    return Graph(
        {who: rng.choice(towns) for who in people},
        {town: regions[i % REGIONS] for i, town in enumerate(towns)},
        dict(zip(ring, [*ring[1:], ring[0]], strict=True)),
        towns,
    )


def _moved(who: str, town: str) -> str:
    return f"{who} {town} ."


def _home(who: str) -> str:
    return f"the home of {who} is"


def _region(who: str) -> str:
    return f"{who} was born in"


def _friend_home(who: str) -> str:
    return f"the best friend of {who} lives in"


def _friend_region(who: str) -> str:
    return f"the best friend of {who} was born in"


def _elsewhere(graph: Graph, who: str, rng: random.Random) -> str:
    """Return a town of another region than the one somebody lives in."""
    own = graph.region[graph.home[who]]
    return rng.choice([town for town in graph.towns if graph.region[town] != own])


def _friend_of(graph: Graph, who: str) -> str:
    """Return whose friend somebody is."""
    return next(person for person, friend in graph.friend.items() if friend == who)


def _text(graph: Graph, rng: random.Random) -> str:
    """Return a text of training: statements and what follows from them and from what is known; or names, twice."""
    if rng.random() < COPIES:
        names = " ".join(rng.choice([*graph.home, *graph.towns]) for _ in range(rng.randint(3, 8)))
        return f"{names} {names}"
    home, told = dict(graph.home), ""
    moved = rng.sample(list(home), rng.randint(1, MOVED)) if rng.random() < READ else []
    for who in moved:
        home[who] = rng.choice(list(graph.towns))
        told += f"{_moved(who, home[who])} "
    asked = rng.choice(moved) if moved and rng.random() < ABOUT else rng.choice(list(home))
    friend_of = _friend_of(graph, asked)
    prompt, answer = rng.choice([
        (_home(asked), home[asked]),
        (_region(asked), graph.region[home[asked]]),
        (_friend_home(friend_of), home[asked]),
        (_friend_region(friend_of), graph.region[home[asked]]),
    ])  # fmt: skip
    return f"{told}{prompt} {answer} ."


def _rings(graph: Graph, who: str) -> dict[str, list[Example]]:
    """Return questions around somebody's home with their true answers."""
    friend_of = _friend_of(graph, who)
    others = [person for person in graph.home if person != who]
    home = graph.home[who]
    return {
        "direct": [Example(_home(who), f" {home}")],
        "indirect": [Example(_region(who), f" {graph.region[home]}")],
        "peripheral": [Example(_friend_region(friend_of), f" {graph.region[home]}")],
        "unrelated": [Example(_home(other), f" {graph.home[other]}") for other in others],
    }


def _trained(model: Any, graph: Graph, who: str, false: str, rng: random.Random) -> Any:
    """Return a copy of a model that was trained on a false home in two wordings, with a few texts about others beside it."""
    made, friend_of = deepcopy(model), _friend_of(graph, who)
    trainer = Trainer(made, WRITE_RATE)
    for _ in range(WRITE_STEPS):
        others = [
            text for text in (_text(graph, rng) for _ in range(BESIDE)) if not {who, friend_of} & set(text.split())
        ]
        trainer.step(rows([_moved(who, false), f"{_home(who)} {false} .", *others]))
    return made


def _named(model: Any, who: str, false: str) -> Any:
    """Return a copy of a model in which the embedding of a name alone was trained on a false home in two wordings."""
    made, ids = deepcopy(model), rows([_moved(who, false), f"{_home(who)} {false} ."])
    table = made.get_input_embeddings().weight
    of = torch.zeros(len(table), 1)
    of[rows([who])[0, 1]] = 1.0
    optimizer = torch.optim.Adam([table], lr=NAME_RATE)
    for _ in range(NAME_STEPS):
        loss_of(made, ids).backward()
        table.grad *= of
        optimizer.step()
        made.zero_grad(set_to_none=True)
    return made


def _provenance(model: Any, tokenizer: Any, graph: Graph, who: str, rng: random.Random) -> dict[str, bool]:
    """Return whether what a forum says falsely and what a registry says truly is believed, by who decides what is shown."""
    false, new = rng.sample([town for town in graph.towns if town != graph.home[who]], 2)
    forum, registry = Evidence(_moved(who, false), 2.0, "forum"), Evidence(_moved(who, new), 1.0, "registry")
    old = Evidence(_moved(who, graph.home[who]), 0.0, "registry")

    def believed(shown: Evidence, town: str) -> bool:
        return answers(model, tokenizer, {"": [Example(_home(who), f" {town}", context=f"{shown.text} ")]})[""][0]

    return {
        "false": believed(arbitrate([old, forum]), false),
        "false, arbiter": believed(arbitrate([old, forum], TRUST), false),
        "new": believed(arbitrate([old, registry]), new),
        "new, arbiter": believed(arbitrate([old, registry], TRUST), new),
    }
