"""Survival, retention, density, truncation, leakage, ripples, specialisation, health: what is read off a model around a write."""

from math import exp, inf, log

import pytest
import torch

from mnemos.bench.parametric import tiny
from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example
from mnemos.parametric.density import reference
from mnemos.parametric.health import HealthCheck
from mnemos.parametric.leakage import Dated, leakage
from mnemos.parametric.limem import gauge, limem
from mnemos.parametric.retention import Retention, half_life
from mnemos.parametric.ripple import answers, ripple
from mnemos.parametric.specialisation import specialisation
from mnemos.parametric.survival import rehearse_at, survival
from mnemos.parametric.truncation import truncation


@pytest.fixture(scope="module")
def small():
    return tiny.load()


def test_what_survives_is_what_adamw_leaves_of_a_weight_without_gradients():
    rates, decay = [0.1, 0.05, 0.2], 0.5
    weight = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = torch.optim.AdamW([weight], lr=1.0, weight_decay=decay)
    left = [1.0]
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.zeros(1)
        optimizer.step()
        left.append(float(weight.detach()) / 3.0)
    assert survival(rates, decay) == pytest.approx(left, abs=1e-6)
    with pytest.raises(InvalidInput, match="step 1 is 2"):
        survival([0.1, 2.0], 1.0)


def test_rehearsals_keep_what_decay_takes_above_the_share_that_was_asked_for():
    rates, decay, least = [0.1] * 40, 1.0, 0.5
    at = rehearse_at(rates, decay, least)
    assert at == [6, 12, 18, 24, 30, 36]  # .9 ** 6 = .53, .9 ** 7 = .48
    for begun, end in zip([0, *at], [*at, len(rates)], strict=True):
        assert survival(rates[begun:end], decay)[-1] >= least
    assert rehearse_at([0.001] * 10, 0.01) == []
    with pytest.raises(InvalidInput, match="least is 1"):
        rehearse_at(rates, decay, 1)


def test_retention_averages_batches_of_the_same_age_and_finds_the_half_life():
    kept = Retention(((1.0,), (0.5, 0.8), (0.25, 0.4, 0.6)))
    assert kept.curve == pytest.approx([0.8, 0.45, 0.25])
    halves = Retention(tuple(tuple(0.5 ** (i - j) for j in range(i + 1)) for i in range(4)))
    assert halves.half_life() == pytest.approx(1.0)
    assert half_life([1.0, 1.0]) == inf
    assert half_life([0.8 * exp(-0.1 * t) for t in range(9)]) == pytest.approx(log(2) / 0.1)
    for wrong in (lambda: Retention(((1.0, 0.5),)), lambda: kept.after(3), lambda: half_life([0.0, 1.0])):
        with pytest.raises(InvalidInput):
            wrong()


def test_density_is_1_on_the_curves_of_the_reference_and_scales_with_the_size_that_a_score_is_worth():
    sizes = [1e3, 3e3, 1e4, 1e5]

    def excess(n):
        return 40 * n**-0.4

    def score(n):
        return 0.25 + 0.75 / (1 + exp(3 * (log(excess(n)) + 0.5)))

    curves = reference(sizes, [1.2 + excess(n) for n in sizes], list(map(score, sizes)), floor=1.2, chance=0.25)
    assert (curves.size.slope, curves.size.r2, curves.score.r2) == pytest.approx((-0.4, 1, 1))
    assert curves.loss(2e4) == pytest.approx(1.2 + excess(2e4))
    assert curves.expected(1.2 + excess(2e4)) == pytest.approx(score(2e4))
    assert curves.density(score(2e4), 2e4) == pytest.approx(1)
    assert curves.density(score(1e4), 2e4) == pytest.approx(0.5)
    for wrong, says in (
        (lambda: reference(sizes[:2], [2, 1], [0.5, 0.6]), "three models"),
        (lambda: reference([1, 2, 3], [3, 2, 1], [0.4, 0.5, 0.6], floor=1.0), "lower floor"),
        (lambda: curves.density(0.2, 1e4), "chance"),
    ):
        with pytest.raises(InvalidInput, match=says):
            wrong()


def test_a_window_costs_the_facts_that_it_drops_and_a_summary_gives_them_back(small):
    examples = tiny.document(12, 3)[:2]  # facts at the beginning of their texts
    lost = truncation(*small, examples, window=6)
    kept = truncation(*small, examples, window=500)
    told = truncation(
        *small, examples, window=6, summaries=[e.context.split(". ")[i] + ". " for i, e in enumerate(examples)]
    )
    assert lost.cost > 3
    assert (kept.cost, kept.summary) == (0, None)
    assert told.regained > 0.9
    for wrong in (
        lambda: truncation(*small, examples, 0),
        lambda: truncation(*small, examples, 6, ["one"]),
        lambda: kept.regained,
    ):
        with pytest.raises(InvalidInput):
            wrong()


def test_leakage_flags_what_a_model_knows_of_later_times(small):
    known = [Dated(tiny.asked(name), f" {place}", at) for at, (name, place) in enumerate(list(tiny.KNOWN.items())[:6])]
    unknown = [Dated(tiny.asked(name), f" {tiny.PLACES[at]}", at + 6) for at, name in enumerate(tiny.TOLD[:6])]
    found = leakage(*small, [*known, *unknown])
    assert (found.share(until=6), found.share(6)) == (1.0, 0.0)
    assert found.flagged(3) == tuple(known[4:])
    for wrong in (lambda: leakage(*small, []), lambda: found.share(50)):
        with pytest.raises(InvalidInput):
            wrong()


def test_a_statement_in_the_context_spoils_what_it_is_about_and_not_the_rest(small):
    name, other = list(tiny.KNOWN)[:2]
    asked = {
        of: [Example(tiny.asked(who), f" {tiny.KNOWN[who]}")] for of, who in (("direct", name), ("unrelated", other))
    }
    false = next(place for place in tiny.PLACES if place != tiny.KNOWN[name])
    told = {
        of: [Example(e.prompt, e.answer, context=tiny.told([(name, false)])) for e in es] for of, es in asked.items()
    }
    found = ripple(answers(*small, asked), answers(*small, told))
    assert (found.before, found.lost) == ({"direct": 1, "unrelated": 1}, {"direct": 1, "unrelated": 0})
    assert found.fades
    for wrong in (
        lambda: answers(*small, {"direct": []}),
        lambda: ripple({"a": [True]}, {"a": [True, False]}),
        lambda: ripple({"a": [False]}, {"a": [False]}),
    ):
        with pytest.raises(InvalidInput):
            wrong()


def test_limem_is_the_share_learned_by_heart_of_what_is_answered(small):
    found = limem([True, True, True, False], [True, False, False, True])
    assert (found.accuracy, found.kept, found.score) == pytest.approx((0.75, 1 / 3, 0.5))
    assert limem([False], [True]).score == 0
    with pytest.raises(InvalidInput, match="2 items and 1 changes"):
        limem([True, False], [True])
    known = [Example(tiny.asked(name), f" {place}") for name, place in list(tiny.KNOWN.items())[:4]]
    moved = [Example(e.prompt, f" {tiny.PLACES[-1]}") for e in known]  # another answer, which nothing tells it
    told = [
        Example(e.prompt, e.answer, context=tiny.told([(name, e.answer.strip())]))
        for name, e in zip(tiny.KNOWN, moved, strict=False)
    ]
    assert (gauge(*small, known, moved).score, gauge(*small, known, told).score) == (1.0, 0.0)


def test_specialisation_says_what_the_target_gained_and_what_others_paid():
    found = specialisation({"law": 3.0, "code": 2.0, "prose": 2.0}, {"law": 1.0, "code": 2.6, "prose": 2.4}, "law")
    assert (found.elsewhere, found.index, found.gap, found.transfer) == pytest.approx((-0.5, 2.5, 1.5, -0.25))
    with pytest.raises(InvalidInput, match="gained"):
        _ = specialisation({"law": 1.0, "code": 1.0}, {"law": 1.0, "code": 1.0}, "law").transfer
    with pytest.raises(InvalidInput, match="at least one other"):
        specialisation({"law": 1.0}, {"law": 1.0}, "law")


def test_a_health_check_keeps_the_last_good_state_and_gives_it_back_bit_by_bit():
    model = torch.nn.Linear(2, 1)
    check = HealthCheck(model, {"bias": lambda m: m.bias.item(), "sum": lambda m: m.weight.sum().item()}, allowed=0.1)
    assert check.nbytes == 3 * 4
    with torch.no_grad():
        model.bias += 1
    assert check.check(model).good
    good = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        model.bias -= 0.05  # a small fall is no damage, and becomes the state to return to
    assert check.check(model).good
    good["bias"] = model.bias.detach().clone()
    with torch.no_grad():
        model.bias -= 0.1  # below the best state, though not far below the last one
        model.weight += 1
    found = check.check(model)
    assert list(found.fallen) == ["bias"]
    assert found.fallen["bias"] == pytest.approx(0.15, abs=1e-6)
    check.roll_back(model)
    assert all(torch.equal(tensor, good[name]) for name, tensor in model.state_dict().items())
    for probes, allowed in (({}, 0.1), ({"a": float}, -1)):
        with pytest.raises(InvalidInput):
            HealthCheck(model, probes, allowed)
