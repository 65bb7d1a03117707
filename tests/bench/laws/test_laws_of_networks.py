"""Laws of small networks: networks that are written down, distances without cancellation, rates of a training."""

import numpy as np
import pytest
import torch

from mnemos.bench.laws import hyperbolic, memorising_size, schedules, time_scale
from mnemos.bench.laws.memorising_size import Deep, Steps, Wide, right, rounded


def seen(part):
    return [claim["seen"] for claim in part["claims"]]


@pytest.mark.parametrize(("size", "group"), [(1, 1), (7, 3), (64, 8), (100, 16)])
def test_written_networks_say_all_labels(size, group):
    keys, labels = memorising_size._drawn(max(size, 2), np.random.default_rng(size))
    assert right(Wide(keys, labels), keys, labels) == 1
    assert right(Deep(keys, labels, group), keys, labels) == 1


def test_steps_pass_through_their_values_and_count_what_is_not_0():
    steps = Steps([3, 10], [5, 5, -2])
    assert [steps(x) for x in (0, 3, 4, 10, 11, 99)] == [5, 5, 5, 5, -2, -2]
    assert (steps.parameters, steps.bits) == (7, 4)  # one step of six numbers, and the first value; 10 has four bits


def test_whole_numbers_are_rounded_to_significant_bits():
    assert [rounded(v, 3) for v in (0, 5, 13, 255, -13)] == [0, 5, 12, 224, -12]
    assert rounded(12345, None) == 12345


def test_fewer_bits_than_its_digits_need_leave_a_deep_network_guessing():
    keys, labels = memorising_size._drawn(100, np.random.default_rng(0))
    whole = Deep(keys, labels, 10)
    assert right(Deep(keys, labels, 10, whole.bits), keys, labels) == 1
    assert right(Deep(keys, labels, 10, 16), keys, labels) < 0.8
    assert right(Wide(keys, labels, 16), keys, labels) == 1


def test_distances_are_those_of_the_sheet_where_it_holds_and_right_where_it_does_not():
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 50, 3, generator=rng, dtype=torch.double)
    r, s = (x.norm(dim=-1, keepdim=True) for x in (a, b))
    sheet = [torch.cat([n.cosh(), n.sinh() * x / n], -1) for x, n in ((a, r), (b, s))]
    naive = (-hyperbolic._form(*sheet)).acosh()
    torch.testing.assert_close(hyperbolic.distances(a, b), naive, rtol=1e-6, atol=1e-8)
    far = torch.tensor([[200.0, 0.0]], dtype=torch.double)
    assert float(hyperbolic.distances(far, -far)) == pytest.approx(400)
    assert float(hyperbolic.distances(far, far)) == pytest.approx(0, abs=1e-9)
    ball = [n.tanh() * x / n for x, n in ((a / 2, r / 2), (b / 2, s / 2))]
    u = 2 * (ball[0] - ball[1]).square().sum(-1) / (1 - ball[0].square().sum(-1)) / (1 - ball[1].square().sum(-1))
    torch.testing.assert_close(hyperbolic.distances(a, b), (1 + u).acosh(), rtol=1e-6, atol=1e-8)


def test_a_tree_has_the_distances_of_its_paths():
    apart, near = hyperbolic.tree(3)
    assert apart.shape == (15, 15)
    assert apart[0].tolist() == [0, 1, 1, *[2] * 4, *[3] * 8]
    assert [int(apart[7, x]) for x in (7, 8, 3, 9, 1, 14)] == [0, 2, 1, 4, 2, 6]
    assert int(near.sum()) == 2 * 14
    assert torch.equal(apart, apart.T)


def test_the_tree_s_own_distances_find_parents_and_children_without_an_error():
    apart, near = hyperbolic.tree(4)
    assert hyperbolic._precision(apart.clone(), near) == 1
    assert hyperbolic._precision(torch.rand(31, 31, generator=torch.Generator().manual_seed(0)), near) < 0.4


def test_the_ball_holds_points_twice_as_far_out_as_the_sheet():
    found = hyperbolic.overflow()
    assert (found["ball"], found["sheet"]) == (pytest.approx(37.4, abs=0.6), pytest.approx(19.06, abs=0.6))
    assert found["parameters"] == 300


def test_a_step_on_the_sheet_stays_on_it_and_lowers_the_error():
    rng = torch.Generator().manual_seed(0)
    apart, _ = hyperbolic.tree(2)
    sheet = hyperbolic._Sheet(0.3 * torch.randn(7, 2, generator=rng, dtype=torch.double))
    a, b = torch.triu_indices(7, 7, 1)
    before = float(hyperbolic._wrong(sheet.all()[a, b], apart[a, b]))
    for _ in range(60):
        assert sheet.step(a, b, apart[a, b], 0.05)
    assert float(hyperbolic._wrong(sheet.all()[a, b], apart[a, b])) < 0.5 * before
    torch.testing.assert_close(hyperbolic._form(sheet.x, sheet.x), -torch.ones(7, dtype=torch.double))


def test_rates_warm_up_stay_and_come_down_to_each_end():
    found = list(schedules.rates("WSD-S", 1.0, (1000, 2000)))
    assert len(found) == 2000
    assert found[0] == 1 / schedules.WARM
    assert set(found[schedules.WARM : 900]) == {1.0} == set(found[1000:1800])
    assert found[999] == schedules.LEAST
    assert found[1999] == schedules.LEAST
    assert found[950] == pytest.approx(0.5)
    cosine = list(schedules.rates("cosine", 1.0, (1000, 2000)))
    assert cosine[500] == pytest.approx(0.51)
    assert cosine[999] < 0.021
    assert cosine[1000] == 1


def test_a_time_scale_is_reported_as_measured():
    row = {
        "off": [0.05], "detached": [700.0], "plateau": [720.0], "time scale at the end": [10.0], "second eigenvalue": [0.01],
        "eigenvalue": {str(s): [0.1 + 0.8 / (1 + np.exp((1000 - s) / 100))] for s in range(0, 2000, 100)},
        "curve": {"0": [0.0], "100": [0.1]}, "loss": {"0": [1.0], "100": [0.5]},
    }  # fmt: skip
    large = row | {"off": [1.1], "second eigenvalue": [0.2]}
    rows = dict(zip(time_scale.ROWS, (row, row | {"second eigenvalue": [0.05]}, large), strict=True))
    assert seen(time_scale.report(rows)) == ["yes"] * 3
    late = large | {"off": [0.05], "plateau": [1100.0], "second eigenvalue": [0.5]}
    assert seen(time_scale.report(rows | {time_scale.ROWS[-1]: late})) == ["no", "partly", "partly"]
