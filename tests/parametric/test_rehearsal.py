"""Rehearsal and its schedules: what is drawn, what it counts, and where a variant is the plain method to the bit."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.base import Batch
from mnemos.parametric.consolidate.breakup_replay import BreakupReplay
from mnemos.parametric.consolidate.collateral_replay import CollateralReplay
from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
from mnemos.parametric.consolidate.fast_slow_replay import FastSlowReplay
from mnemos.parametric.consolidate.forget_prone import ForgetProne
from mnemos.parametric.consolidate.gdumb import GreedyBalanced
from mnemos.parametric.consolidate.general_replay import GeneralReplay, margin
from mnemos.parametric.consolidate.latent_replay import LatentReplay
from mnemos.parametric.consolidate.learner import CannotWork, Learner
from mnemos.parametric.consolidate.learning_rate import LearningRate, annealed
from mnemos.parametric.consolidate.power_law_replay import PowerLawReplay
from mnemos.parametric.consolidate.quantile_replay import QuantileReplay
from mnemos.parametric.consolidate.refresh import Refresh
from mnemos.parametric.consolidate.relational_replay import slopes
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.reptile import Reptile
from mnemos.parametric.consolidate.unified import Unified, bregman
from mnemos.parametric.consolidate.view_replay import ViewBatchReplay

pytestmark = pytest.mark.filterwarnings(f"ignore::{CannotWork.__module__}.{CannotWork.__name__}")
TASKS = split(glyphs(classes=6, train=40, test=10))


def learner(*strategies, rate=0.1, **how):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 6))
    return Learner(model, strategies, optimise=partial(torch.optim.SGD, lr=rate), **how)


def lived(made, tasks=TASKS, batch=8):
    for number, task in enumerate(tasks):
        order = torch.randperm(len(task.train.y), generator=torch.Generator().manual_seed(number))
        for rows in order.split(batch):
            made.observe(task.train.x[rows], task.train.y[rows], number)
    made.end_task()
    return made


def weights(made):
    return torch.cat([p.detach().flatten() for p in made.model.parameters()])


@pytest.mark.parametrize(
    ("variant", "base"),
    [
        (ViewBatchReplay(views=1), Replay()),
        (FastSlowReplay(strength=0), Replay()),
        (Reptile(rate=1.0), ()),
        (Refresh(rate=0), ()),
        (GeneralReplay(items=1000, batch=1, pin="labels"), None),
    ],
    ids=lambda s: type(s).__name__,
)
def test_a_variant_without_its_own_term_is_what_it_varies(variant, base):
    if base is None:  # it rehearses nothing in the first task
        assert torch.equal(weights(lived(learner(variant), TASKS[:1])), weights(lived(learner(), TASKS[:1])))
        return
    made, other = lived(learner(variant)), lived(learner(*((base,) if base else ())))
    torch.testing.assert_close(weights(made), weights(other), rtol=1e-4, atol=1e-6)


def test_the_chance_of_a_task_is_a_power_of_its_age():
    made = learner(PowerLawReplay(items=60, exponent=2.0))
    lived(made, TASKS[:2])
    made.begin_task(2)
    (own,) = made.strategies
    chances, tasks = own.chances(made), own.buffer.held[2]
    assert float(chances[tasks == 1].sum()) == pytest.approx(1)
    assert float(chances[tasks == 0].sum()) == pytest.approx(1 / 4)
    drawn = torch.cat([own.draw(made).tasks for _ in range(300)])
    assert float((drawn == 1).float().mean()) == pytest.approx(0.8, abs=0.04)


def test_samples_that_get_lost_are_rehearsed_more_often():
    made = learner(CollateralReplay(items=60, uniform=0.2))
    lived(made, TASKS[:1])
    made.begin_task(1)
    own = made.strategies[0]
    right, bins = own.buffer.held[3:]
    assert right.any()
    lossy = int(bins[right][0])
    own.rates[:] = 0.0
    own.rates[lossy] = 0.5
    chances = own.chances()
    assert float(chances.sum()) == pytest.approx(1)
    share = float(chances[(bins == lossy) & right].sum())
    assert share == pytest.approx(0.8 + 0.2 * float(((bins == lossy) & right).float().mean()), abs=1e-5)
    assert (chances > 0).all()


def test_the_quantile_of_a_normal_fit_and_the_mean_of_a_tail():
    risks = torch.tensor([1.0, 2.0, 3.0, 6.0])
    assert float(QuantileReplay(alpha=0.5).risk(risks)) == pytest.approx(3.0)
    assert float(QuantileReplay(alpha=0.8413447).risk(risks)) == pytest.approx(3 + 3.5**0.5, rel=1e-4)
    assert float(QuantileReplay(alpha=0.5, fit="tail").risk(risks)) == pytest.approx(4.5)
    assert float(QuantileReplay(alpha=0.0, fit="tail").risk(risks)) == pytest.approx(3.0)


def test_reptile_moves_half_the_way_back():
    made, plain = learner(Reptile(every=5, rate=0.5)), learner()
    before, x, y = weights(made), TASKS[0].train.x[:8], TASKS[0].train.y[:8]
    for _ in range(5):
        made.observe(x, y, 0), plain.observe(x, y, 0)
    torch.testing.assert_close(weights(made), (before + weights(plain)) / 2)


def test_a_model_of_the_buffer_knows_nothing_but_the_buffer():
    made = lived(learner(GreedyBalanced(items=12, epochs=2)))
    own = made.strategies[0]
    assert own.buffer.held[1].bincount().tolist() == [2] * 6
    assert torch.equal(torch.cat([p.flatten() for p in own.first.parameters()]), weights(learner()))


def test_only_the_modules_that_forget_are_trained_again():
    made = lived(learner(ForgetProne(span=5, epochs=1, modules=("2",))))
    first, last = made.model[0].weight.clone(), made.model[2].weight.clone()
    made.strategies[0].fine_tune(made)
    assert torch.equal(made.model[0].weight, first)
    assert not torch.equal(made.model[2].weight, last)
    assert made.strategies[0].sensitivity().keys() == {"0", "2"}


@pytest.mark.parametrize(
    ("special", "base"),
    [
        (Unified(outputs=0.2 / 6, phi="square"), DarkExperienceReplay(logits=0.2)),
        (Unified(outputs=0.0, weights=3.0), Anchor(3.0)),
    ],
    ids=["DER", "EWC"],
)
def test_one_objective_has_der_and_ewc_as_special_cases(special, base):
    made, other = lived(learner(special)), lived(learner(base))
    torch.testing.assert_close(weights(made), weights(other), rtol=1e-3, atol=1e-5)


def test_one_objective_has_replay_as_a_special_case():
    made, other = learner(Unified(batch=8), rate=1e-9), learner(Replay(batch=8), rate=1e-9)
    for step in range(3):
        rows = slice(8 * step, 8 * step + 8)
        losses = [m.observe(TASKS[0].train.x[rows], TASKS[0].train.y[rows], 0) for m in (made, other)]
    assert losses[0] == pytest.approx(2 * losses[1], rel=1e-5)  # a sum here, a mean there
    for mine, theirs in zip(made.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, 2 * theirs.grad, rtol=1e-4, atol=1e-7)


def test_divergences_are_squared_distance_and_relative_entropy():
    p, q = torch.rand(4, 3).softmax(-1), torch.rand(4, 3).softmax(-1)
    torch.testing.assert_close(bregman("square", p, q), (p - q).square().sum(-1))
    torch.testing.assert_close(bregman("entropy", p, q), (p * (p / q).log()).sum(-1))


def test_unlearning_raises_the_loss_of_the_new_batch():
    made = learner(Refresh(rate=1e-2, noise=0.0), rate=1e-9)
    x, y = TASKS[0].train.x[:8], TASKS[0].train.y[:8]
    was = float(nn.functional.cross_entropy(made.model(x), y))
    assert made.observe(x, y, 0) > was


def test_codes_are_a_few_bytes_and_the_lower_layers_stay():
    tasks = split(glyphs(classes=6, train=130, test=10))
    made = lived(learner(LatentReplay(items=50, codes=4)), tasks[:1])
    own, lower = made.strategies[0], made.model[0].weight.detach().clone()
    assert own.buffer.nbytes == 50 * (4 + 8)
    x = tasks[0].train.x
    seen = made.model[:2](x)
    own.hold(made, x[:1], tasks[0].train.y[:1])
    lived(made, tasks[1:])
    assert torch.equal(made.model[0].weight, lower)
    assert len(own.buffer.held[1].unique()) == 6
    mean = (seen - seen.mean(0)).square().mean()
    codes = torch.from_numpy(own.coder(16).encode(seen.detach().numpy()))
    assert float((own.decoded(codes) - seen).square().mean()) < 0.1 * float(mean)


def test_features_cross_a_border_only_where_their_class_changes():
    mean, deviation = torch.zeros(4), torch.ones(4)
    wanted = torch.tensor([[2.0, -2.0, 0.0, 0.0]])  # high, low, neutral, neutral
    assert margin(wanted, wanted, mean, deviation).sum() == 0
    assert margin(torch.tensor([[5.0, -9.0, 0.9, -0.9]]), wanted, mean, deviation).sum() == 0
    crossed = margin(torch.tensor([[0.5, 0.0, 1.5, -3.0]]), wanted, mean, deviation)
    torch.testing.assert_close(crossed, torch.tensor([[0.5, 1.0, 0.5, 2.0]]))


def test_the_slopes_of_the_weights_are_those_of_finite_differences():
    made = learner()
    made.model.double()
    batches = [Batch(t.train.x[:6].double(), t.train.y[:6], torch.zeros(6, dtype=torch.long)) for t in TASKS[:2]]

    def after(chosen, inner=0.3):
        cost = sum(c * made.cost(made.model(b.x), b) for c, b in zip(chosen, batches, strict=True))
        steps = torch.autograd.grad(cost, list(made.model.parameters()))
        tried = {n: p - inner * g for (n, p), g in zip(made.model.named_parameters(), steps, strict=True)}
        return float(sum(made.cost(functional_call(made.model, tried, (b.x,)), b) for b in batches))

    terms = [made.cost(made.model(b.x), b) for b in batches]
    found = slopes(made, terms, [0.4, 0.6], batches, 0.3)
    wanted = [(after([0.4 + 1e-5, 0.6]) - after([0.4 - 1e-5, 0.6])) / 2e-5,
              (after([0.4, 0.6 + 1e-5]) - after([0.4, 0.6 - 1e-5])) / 2e-5]  # fmt: skip
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-5, atol=1e-8)


def test_samples_are_put_together_of_pieces_of_one_class_at_their_place():
    made = learner(BreakupReplay(items=30, pieces=4, keep=2, batch=20))
    marked = [(c * 4 + torch.arange(4.0)).repeat_interleave(16) + 100 * torch.arange(8.0)[:, None] for c in range(2)]
    for _ in range(4):
        made.observe(torch.cat(marked) / 1000, torch.tensor([0] * 8 + [1] * 8), 0)
    own = made.strategies[0]
    drawn = own.draw(made)
    pieces = (drawn.x.view(20, 4, 16)[..., 0] * 1000).round()
    assert torch.equal(pieces % 100, drawn.y[:, None] * 4 + torch.arange(4.0))
    assert (pieces // 100).unique(dim=0).shape[0] > 10  # combinations that never came
    assert min(own.combinations().values()) > 8


def test_a_rate_rises_falls_and_stays_until_a_copy_is_shipped():
    made = learner(LearningRate(peak=0.2, constant=0.1, least=0.01, warm=4, cool=10))
    own, rates = made.strategies[0], []
    x, y = TASKS[0].train.x[:8], TASKS[0].train.y[:8]
    for _ in range(30):
        rates.append(own.rate())
        made.observe(x, y, 0)
    assert rates[:4] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert rates[9] == pytest.approx(0.15)
    assert rates[14:] == pytest.approx([0.1] * 16)
    before = weights(made)
    shipped = annealed(made, [(x, y)] * 8, 8)
    assert shipped.strategies[0].rate() == pytest.approx(0.01)
    assert not torch.equal(weights(shipped), before)
    assert torch.equal(weights(made), before)
    assert own.rate() == pytest.approx(0.1)


def test_the_slow_weights_answer_for_the_fast_ones():
    made, apart = lived(learner(FastSlowReplay(strength=0))), lived(learner(Replay(), SlowCopy()))
    x = TASKS[0].test.x
    torch.testing.assert_close(made.predict(x), apart.predict(x))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InvalidInput, match="model that is served"):
        learner(FastSlowReplay(), SlowCopy())
    with pytest.raises(InvalidInput, match="replaces it comes before"):
        lived(learner(DarkExperienceReplay(), Refresh()), TASKS[:1])
    with pytest.raises(InvalidInput, match="pieces"):
        lived(learner(BreakupReplay(pieces=7)), TASKS[:1])
