"""What is lost when models learn what models say (arXiv 2402.07043): the tail, by generations, and an anchor against it.

Facts have Zipf frequencies. A lookup knows the facts that it met among T; the next one learns from T that the last one says, each
as often as that one met it. The paper's error is T^-c with c = 1 - 1 / b, and a floor of n T^-c after n generations, which is
a bound: whether a fact comes through is a branching process, by which n generations know what one knows of T (1 - h) samples,
with h = 0, then exp(h - 1) from generation to generation (about 2 T / (n + 1)). With a share of originals among more and more
samples of a model that has met few, the paper's error stays on a floor first and then falls as that of the originals alone.
Then a small network learns which keys come and which value belongs to each, and the next one learns from its samples, alone
or with a share of the original texts in every generation: drawn at random, or those of the rarest facts. `mnemos bench
summary-loss` measures the same of summaries of summaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any

import numpy as np

from mnemos.bench.laws.claims import Claim, Panel, listed, mean, reported, said, verdict
from mnemos.bench.laws.fits import fit

PAPERS = ("2402.07043",)
MEANS = (
    "what learns from what was derived loses rare facts first; a tenth of originals saves them if it is the rarest: "
    "`LearnReport.original_share` says how much of what weights learned nobody derived."
)
EXPONENT, FACTS = 1.5, 50_000  # of the frequencies
SAMPLES, GENERATIONS, DRAWS = (100, 300, 1000, 3000, 10_000), 8, 20
AT = 1000  # samples of a generation that is looked at
ARMS = {  # share of original texts in each later generation, and whether those of the rarest facts come first
    "alone": (0.0, False),
    "5 %": (0.05, False),
    "10 %": (0.1, False),
    "30 %": (0.3, False),
    "10 %, rarest first": (0.1, True),
}
MET, MIXED = (
    1000,
    (300, 1000, 3000, 10_000, 30_000, 100_000, 300_000),
)  # samples of the model that says the rest; of all
SHARES = (0.0, 0.05, 0.1)  # of them that are originals
KEYS, VALUES, TEXTS, LATER = 400, 40, 2000, 6  # of the network; samples of a generation; generations after the first
WIDTH, STEPS, RATE = 48, 150, 0.02


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = np.random.default_rng(seed)
    errors: dict[str, Any] = {f"{n}": {} for n in range(GENERATIONS)}
    for samples in SAMPLES:
        for n, error in enumerate(_lookups(samples, rng)):
            errors[f"{n}"][f"{samples}"] = error
    mixed = {f"{share}": {f"{n}": _mixed(n, share, rng) for n in MIXED} for share in SHARES}
    networks = {name: _networks(*arm, seed) for name, arm in ARMS.items()}
    return {"errors": errors, "mixed": mixed, "network": networks}


def report(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper says and what was seen."""
    errors = {int(n): {int(t): v for t, v in row.items()} for n, row in figures["errors"].items()}
    c = 1 - 1 / EXPONENT
    by_samples = fit("power law", errors[0], "lookups", "generation 0")
    last = fit("power law", errors[GENERATIONS - 1], "lookups", f"generation {GENERATIONS - 1}")
    grown = {n + 1: row[AT] for n, row in errors.items()}
    by_generations = fit("power law", grown, f"{AT} samples", "error")
    slopes = [by_samples.value("exponent"), last.value("exponent")]
    mixed = {float(share): {int(n): v for n, v in row.items()} for share, row in figures["mixed"].items()}
    ends_of = {share: _ends(row) for share, row in mixed.items()}
    branching = max(
        abs(mean(row[n]) / float((p * np.exp(-n * (1 - branched(g + 1)) * p)).sum()) - 1)
        for p in [_frequencies()] for g, row in errors.items() for n in SAMPLES
    )  # fmt: skip
    networks = {
        name: {of: {int(n): v for n, v in rows.items()} for of, rows in row.items()}
        for name, row in figures["network"].items()
    }
    alone = networks["alone"]
    claims = [
        Claim(
            f"the error of the first model falls as samples^-{c:.2f}, that of later ones too, from a higher floor",
            verdict(all(abs(s / -c - 1) < 0.15 for s in slopes), abs(slopes[0] / -c - 1) < 0.15),
            f"exponents {by_samples.said('exponent')} and, generation {GENERATIONS - 1}, {last.said('exponent')}",
        ),
        Claim(
            "the error grows in proportion to the generations",
            verdict(0.8 < by_generations.value("exponent") < 1.2, by_generations.numbers["exponent"][1] > 0.1),
            f"as generations^{by_generations.said('exponent')}, {AT} samples: {listed(grown, 3)}; the paper's n T^-c is a bound",
        ),
        Claim(
            "n generations of T samples know what one knows of T (1 - h) samples, about 2 T / (n + 1) (ours), within 5 %",
            verdict(branching < 0.05, branching < 0.1),
            f"off by {branching:.1%} at most, of {len(SAMPLES)} numbers of samples and {GENERATIONS} generations",
        ),
        Claim(
            f"with a tenth of originals the error leaves its floor, and falls again as samples^-{c:.2f}; without it stays",
            verdict(abs(ends_of[0.1] / -c - 1) < 0.15 and abs(ends_of[0.0]) < 0.05,
                    ends_of[0.1] < -0.15 and abs(ends_of[0.0]) < 0.05),
            "exponent over the last two steps, by share of originals: "
            + ", ".join(f"{share:.0%}: {of:.2f}" for share, of in ends_of.items()),
        ),
        *_of_networks(networks),
    ]  # fmt: skip
    shown = {f"generation {n}": errors[n] for n in (0, 1, 3, GENERATIONS - 1)}
    panels = [
        Panel("lookups", "samples", "probability of an unknown fact", shown, True, True),
        Panel(f"{AT} samples", "generations", "probability of an unknown fact", {"error": grown}, True, True),
        Panel(f"samples of a model that met {MET}", "samples", "probability of an unknown fact", {
            f"{share:.0%} originals": row for share, row in mixed.items()
        }, True, True),
        Panel("networks", "generation", "known", {
            "frequent, alone": alone["common"], **{f"rare, {name}": row["rare"] for name, row in networks.items()},
        }),
    ]  # fmt: skip
    return reported(claims, panels, [by_samples, last, by_generations], MEANS)


def _of_networks(networks: Mapping[str, Any]) -> list[Claim]:
    """Return what was seen of networks that learn from each other."""
    alone, ends = networks["alone"], (0, LATER)
    rare = [mean(v) for v in alone["rare"].values()]
    lost = {name: mean(row["rare"][0]) - mean(row["rare"][LATER]) for name, row in networks.items()}
    common = mean(alone["common"][0]) - mean(alone["common"][LATER])
    said_of = ", ".join(f"{name}: {of:.2f}" for name, of in lost.items())
    return [
        Claim(
            "a network loses rare facts with every generation that learns from the last one, and keeps frequent ones",
            verdict(rare == sorted(rare, reverse=True) and lost["alone"] > 0.3 and common < 0.05,
                    lost["alone"] > 3 * max(common, 0.01)),
            f"rare facts known, by generation: {listed(alone['rare'])}; frequent ones: "
            + " to ".join(said(alone["common"][n]) for n in ends),
        ),
        Claim(
            "a tenth of original texts in each generation, drawn at random, stops the loss",
            verdict(lost["10 %"] < 0.25 * lost["alone"], lost["10 %"] < 0.6 * lost["alone"]),
            f"rare facts lost in {LATER} generations, by share of originals: {said_of}",
        ),
        Claim(
            "a tenth that is of the rarest facts does (ours)",
            verdict(lost["10 %, rarest first"] < 0.25 * lost["alone"], lost["10 %, rarest first"] < 0.6 * lost["alone"]),
            f"{lost['10 %, rarest first']:.2f} of the rare facts are lost, {lost['alone']:.2f} without originals",
        ),
    ]  # fmt: skip


def _lookups(samples: int, rng: np.random.Generator) -> list[float]:
    """Return the probability of a fact that is not known, by generation."""
    p = _frequencies()
    found = np.zeros(GENERATIONS)
    for _ in range(DRAWS):
        says = p
        for n in range(GENERATIONS):
            met = rng.multinomial(samples, says)
            found[n] += p[met == 0].sum() / DRAWS
            says = met / samples
    return [float(error) for error in found]


def _ends(row: Mapping[int, Any]) -> float:
    """Return the exponent of the error in the samples over the last two steps."""
    low, high = list(row)[-3], list(row)[-1]
    return log(mean(row[high]) / mean(row[low])) / log(high / low)


def branched(generations: int) -> float:
    """Return h: a fact that is met x times on the mean is known after so many generations with a chance of 1 - exp(x h - x)."""
    h = 0.0
    for _ in range(generations - 1):
        h = exp(h - 1)
    return h


def _frequencies() -> Any:
    p = np.arange(1, FACTS + 1) ** -EXPONENT
    return p / p.sum()


def _mixed(samples: int, share: float, rng: np.random.Generator) -> float:
    """Return the probability of a fact that is not known from samples of a model, a share of them originals."""
    p, found = _frequencies(), 0.0
    own = round(share * samples)
    for _ in range(DRAWS):
        said = rng.multinomial(MET, p) / MET
        met = rng.multinomial(own, p) + rng.multinomial(samples - own, said)
        found += float(p[met == 0].sum()) / DRAWS
    return found


def _networks(share: float, is_rarest: bool, seed: int) -> dict[str, dict[str, float]]:
    """Return what networks know of rare and of frequent facts, by generation."""
    import torch

    torch.manual_seed(seed)
    p = torch.arange(1, KEYS + 1) ** -1.0
    p /= p.sum()
    truth = torch.randint(VALUES, (KEYS,))
    original = torch.multinomial(p, TEXTS, replacement=True)
    original_values = truth[original]
    counts = torch.bincount(original, minlength=KEYS)
    groups = {"rare": (counts >= 1) & (counts <= 3), "common": torch.arange(KEYS) < 20}
    keys, values = original, original_values
    found: dict[str, dict[str, float]] = {of: {} for of in groups}
    for n in range(LATER + 1):
        net = torch.nn.Sequential(torch.nn.Embedding(KEYS, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, VALUES))
        come = torch.zeros(KEYS, requires_grad=True)  # logits of the key that a text is about
        optimizer = torch.optim.Adam([*net.parameters(), come], lr=RATE)
        for _ in range(STEPS):
            loss = torch.nn.functional.cross_entropy(net(keys), values) - come.log_softmax(0)[keys].mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            chances = net(torch.arange(KEYS)).softmax(-1)
            right = chances[torch.arange(KEYS), truth]
            for of, group in groups.items():
                found[of][f"{n}"] = float(right[group].mean())
            keys = torch.multinomial(come.softmax(0), TEXTS, replacement=True)
            values = torch.multinomial(chances[keys], 1)[:, 0]
            order = counts[original].argsort() if is_rarest else torch.randperm(TEXTS)
            again = order[: round(share * TEXTS)]  # original texts in the place of as many said ones
            keys[: len(again)], values[: len(again)] = original[again], original_values[again]
    return found
