"""Laws of theory: closed forms against simulations, and what reports say of figures that fulfil and that contradict a claim."""

import numpy as np
import pytest
import torch

from mnemos.bench.laws import (
    associative_capacity,
    bayes_predictor,
    long_tail,
    model_collapse,
    similarity,
    snr,
    task_order,
)
from mnemos.errors import InvalidInput
from mnemos.neural.associative.admission import admitted, expected_error, misread
from mnemos.neural.associative.signal import signal_to_noise
from mnemos.parametric.consolidate.task_order import best_order, estimated_tasks


def seen(part):
    return [claim["seen"] for claim in part["claims"]]


def test_forgetting_of_two_regressions_is_that_of_the_form_at_its_ends():
    """Nothing changed: nothing forgotten. As many samples as features: 2 changed. Hardly any samples: a parabola, squared."""
    for changed in (0.0, 0.3, 1.0):
        assert similarity.expected(changed, 1.0) == pytest.approx(2 * changed)
        assert similarity.expected(changed, 1e9) == pytest.approx((changed * (1 - changed)) ** 2, abs=1e-6)
    assert similarity.expected(0.0, 3.0) == pytest.approx(0)


def test_forgetting_of_two_regressions_is_simulated_as_expected(monkeypatch):
    monkeypatch.setattr(similarity, "FEATURES", 120)
    rng = np.random.default_rng(0)
    for changed, spare in ((0.5, 4.0), (1.0, 1.25)):
        found = [similarity.simulated(similarity.turned_by(changed, rng), spare, rng) for _ in range(30)]
        assert np.mean(found) == pytest.approx(similarity.expected(changed, spare), rel=0.08)
    turn = similarity.turned_by(0.5, rng)
    assert turn.shape == (60, 60)
    assert turn @ turn.T == pytest.approx(np.eye(60), abs=1e-9)


def test_similarity_is_reported_as_measured():
    linear = {
        f"{s:g}": {f"{of:g}": [similarity.expected(of, s)] * 3 for of in similarity.CHANGED} for s in similarity.SPARE
    }
    hump = dict(zip((f"{of:g}" for of in similarity.PIXELS), ([0.0] * 3, [0.2] * 3, [0.4] * 3, [0.4] * 3, [0.3] * 3, [0.2] * 3),
                    strict=True))  # fmt: skip
    rising = {of: [float(of)] * 3 for of in hump}
    good = similarity.report({"linear": linear, "networks": {"spare": hump, "full": rising}})
    assert seen(good) == ["yes"] * 4
    flat = {s: {of: [0.1] * 3 for of in row} for s, row in linear.items()}
    bad = similarity.report(
        {"linear": flat, "networks": {"spare": rising, "full": dict(reversed(list(rising.items())))}}
    )
    assert seen(bad)[:3] == ["no"] * 3


def test_tasks_are_estimated_by_ridge_regressions_of_each():
    rng = torch.Generator().manual_seed(0)
    x, w = torch.randn(50, 8, generator=rng).double(), torch.randn(3, 8, generator=rng).double()
    found = estimated_tasks([(x, x @ one) for one in w], ridge=1e-9)
    torch.testing.assert_close(found, w, rtol=1e-6, atol=1e-6)
    naive = torch.linalg.solve(x.T @ x + 2.0 * torch.eye(8).double(), x.T @ (x @ w[0]))
    torch.testing.assert_close(estimated_tasks([(x, x @ w[0])], ridge=2.0)[0], naive)
    two = estimated_tasks([(x, x @ w[:2].T)], ridge=1e-9)
    torch.testing.assert_close(two[0], w[:2].flatten(), rtol=1e-6, atol=1e-6)
    with pytest.raises(InvalidInput, match="give tasks of the same ones"):
        estimated_tasks([(x, x @ w[0]), (x[:, :4], x @ w[0])])


def test_estimates_are_good_enough_to_put_what_is_unlike_the_others_first():
    rng = torch.Generator().manual_seed(1)
    tasks = [task_order._drawn(truth, 60, 0.1, rng) for truth in task_order._tasks(rng, outlier=True)]
    assert best_order(estimated_tasks(tasks), 60, 40, worst=True)[-1] == 2


def test_what_is_misread_is_what_a_filled_memory_misreads():
    rng = np.random.default_rng(0)
    items, width, outputs = 60, 64, 10
    wrong = []
    for _ in range(60):
        u, e = (associative_capacity._unit(rng, n, width) for n in (outputs, items))
        f = np.arange(items) % outputs
        memory = sum(np.outer(u[f[x]], e[x]) for x in range(items))
        wrong.append(np.mean((u @ memory @ e.T).argmax(0) != f))
    assert misread(items, width, outputs) == pytest.approx(np.mean(wrong), rel=0.25)
    assert misread(1, 4096, 2) < 1e-9
    with pytest.raises(InvalidInput, match="give at least 1, 1 and 2"):
        misread(1, 8, 1)


def test_the_number_to_admit_is_the_one_with_the_least_error():
    p = associative_capacity.frequencies()[:300]
    p = p / p.sum()
    chosen = admitted(p, 128, 10)
    least = min(expected_error(p, items, 128, 10) for items in range(1, 301))
    assert expected_error(p, chosen, 128, 10) == pytest.approx(least, rel=0.02)
    assert admitted(p, 128, 10) < admitted(p, 512, 10)
    assert expected_error(p, 300, 1_000_000, 10) == pytest.approx(0, abs=1e-9)


def test_signal_to_noise_is_that_of_a_read_with_known_noise_and_does_not_depend_on_its_scale():
    rng = torch.Generator().manual_seed(0)
    keys, values, noise = torch.randn(3, 20_000, 16, generator=rng).double()
    assert signal_to_noise(lambda q: 5 * (values + 0.5 * noise), keys, values) == pytest.approx(4, rel=0.02)
    assert signal_to_noise(lambda q: 3 * values, keys, values) > 1e20
    assert signal_to_noise(lambda q: 0 * values, keys, values) == 0
    with pytest.raises(InvalidInput, match="give keys with values to read"):
        signal_to_noise(lambda q: values[:, :4], keys, values)


def test_noise_of_kernels_is_ordered_as_theory_has_it_and_the_delta_rule_overwrites():
    found = snr.measure(7)
    part = snr.report({
        "noise": {name: {str(n): [v] for n, v in row.items()} for name, row in found["noise"].items()},
        "overwritten": {name: [v] for name, v in found["overwritten"].items()},
    })  # fmt: skip
    assert seen(part)[1:] == ["yes"] * 3
    assert found["noise"]["linear"][512] == pytest.approx(511 / snr.WIDTH, rel=0.15)


def test_ignoring_singletons_costs_tau_for_each_of_them():
    rng, p = np.random.default_rng(0), long_tail.prior("long tail")
    met = rng.multinomial(500, p, size=400) == 1
    assert long_tail.tau(p, 500) == pytest.approx((met * p).sum() / met.sum(), rel=0.05)
    alike = long_tail.prior("short tail")
    assert long_tail.tau(alike, 500) == pytest.approx(1 / 50)


def test_a_chain_of_lookups_never_learns_a_fact_again():
    errors = model_collapse._lookups(300, np.random.default_rng(0))
    assert errors == sorted(errors)
    assert errors[0] < 0.8 * errors[-1]


def test_generations_of_lookups_know_what_the_branching_process_says(monkeypatch):
    monkeypatch.setattr(model_collapse, "DRAWS", 60)
    p = model_collapse._frequencies()
    assert (model_collapse.branched(1), model_collapse.branched(2)) == (0.0, pytest.approx(np.exp(-1)))
    errors = model_collapse._lookups(500, np.random.default_rng(0))
    for n, error in enumerate(errors, 1):
        assert error == pytest.approx(float((p * np.exp(-500 * (1 - model_collapse.branched(n)) * p)).sum()), rel=0.03)


def test_originals_among_samples_are_all_that_is_learned_in_the_end():
    rng, p = np.random.default_rng(0), model_collapse._frequencies()
    floor = float((p * np.exp(-model_collapse.MET * p)).sum())
    assert model_collapse._mixed(100_000, 0.0, rng) == pytest.approx(floor, rel=0.05)
    alone = float((p * np.exp(-10_000 * p)).sum())
    assert model_collapse._mixed(100_000, 0.1, rng) == pytest.approx(alone, rel=0.1)


def test_bayes_predictor_counts_what_was_before():
    symbols = torch.tensor([[0, 1, 1, 0] + [0] * (bayes_predictor.TIME - 4)])
    expected, counts = bayes_predictor.exact(symbols, 2)
    assert expected[0, :4, 0].tolist() == pytest.approx([1 / 2, 2 / 3, 2 / 4, 2 / 5])
    assert counts[0, 3].tolist() == [1, 2]
    drawn = bayes_predictor.sequences(2, 20_000, torch.Generator().manual_seed(0))
    both = (drawn[:, 0] * drawn[:, 1]).double().mean()  # E[q^2] = 1/3 under a flat prior
    assert float(both) == pytest.approx(1 / 3, abs=0.01)


def test_states_that_are_counts_are_probed_as_such_and_others_are_not():
    rng = torch.Generator().manual_seed(0)
    counts = torch.randint(20, (4000, 2), generator=rng).double()
    states = counts @ torch.randn(2, 6, generator=rng).double()
    assert bayes_predictor._probed(states, counts) == pytest.approx(1, abs=1e-4)
    assert bayes_predictor._by_counts(states, counts) == pytest.approx(1)
    noise = torch.randn(4000, 6, generator=rng).double()
    assert bayes_predictor._probed(noise, counts) < 0.05
    assert bayes_predictor._by_counts(noise, counts) < 0.2
