"""Layers that are drawn by what they matter, activations that become few, and states that processes share."""

import pytest
import torch
from torch import nn

from mnemos.bench.footprint.train.sharded import train
from mnemos.errors import InvalidInput
from mnemos.footprint import attached
from mnemos.footprint.activations.density import Density, product_of_nonzero
from mnemos.footprint.states.layer_sampling import LayerSampling
from mnemos.footprint.states.sharded import Sharded, shares


def test_scores_of_the_two_layers_that_matter_rise_to_the_top():
    adapters = [nn.Identity() for _ in range(8)]
    x = torch.ones(1)

    def loss():  # the task is in layers 2 and 5
        outputs = [float(adapter(x)) for adapter in adapters]
        return 2.0 - outputs[2] - outputs[5] + 0.01 * sum(outputs)

    sampling = LayerSampling(count=2, rate=1.0)
    for _ in range(40):
        sampling.judge([[adapter] for adapter in adapters], loss)
    best = sorted(range(8), key=lambda place: -sampling.scores[place])[:2]
    assert sorted(best) == [2, 5]
    drawn = [place for _ in range(100) for place in sampling.draw(8)]
    assert drawn.count(2) + drawn.count(5) > 150
    assert float(adapters[2](x)) == 1  # nothing is damped afterwards


def test_only_chosen_adapters_have_gradients_and_all_are_trained_again_afterwards():
    adapters = nn.ModuleList(nn.Linear(4, 4) for _ in range(5))
    sampling = LayerSampling(count=2)
    with sampling.chosen([[adapter] for adapter in adapters]) as places:
        sum(adapter(torch.ones(4)).sum() for adapter in adapters).backward()
    assert [a.weight.grad is not None for a in adapters] == [place in places for place in range(5)]
    assert all(p.requires_grad for p in adapters.parameters())
    with pytest.raises(InvalidInput, match="3 layers, and scores of 5"):
        sampling.draw(3)
    with pytest.raises(InvalidInput, match="count is 0"):
        LayerSampling(count=0)


def test_the_density_loss_counts_what_is_not_zero_and_falls_when_it_is_trained():
    torch.manual_seed(0)
    model = nn.ModuleDict({"up": nn.Linear(16, 64), "act": nn.ReLU(), "down": nn.Linear(64, 4)})
    x, y = torch.randn(64, 16), torch.randn(64, 4)

    def say():
        return model["down"](model["act"](model["up"](x)))

    density = Density(sharpness=1e6)
    with density.watch(model):
        before = say().detach()
        assert float(density.loss().detach()) == pytest.approx(density.share(), abs=1e-3)
        first = density.share()
        density.sharpness = 10.0
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(60):
            optimiser.zero_grad()
            (nn.functional.mse_loss(say(), y) + density.loss()).backward()
            optimiser.step()
        say()
        assert density.share() < 0.6 * first
    hidden = model["act"](model["up"](x))
    kept = product_of_nonzero(hidden, model["down"].weight, model["down"].bias)
    assert torch.allclose(kept, say(), atol=1e-6)
    assert not torch.equal(before, say())
    with pytest.raises(InvalidInput, match="no module"), Density(layers="gelu").watch(model):
        pass
    density = Density(dead=0.5)
    with density.watch(nn.ModuleDict({"act": nn.Identity()})) as _:
        pass


def test_parameters_are_shared_out_evenly_and_alone_all_is_as_before():
    parameters = [torch.zeros(n) for n in (10, 50, 30, 5, 5)]
    assert list(shares(parameters, 2).values()) == [1, 0, 1, 1, 1]
    model, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.load_state_dict(model.state_dict())
    for one, methods in ((model, ()), (other, (Sharded(),))):
        optimiser = torch.optim.Adam(one.parameters())
        with attached(one, *methods, optimiser=optimiser):
            one(torch.ones(2, 4)).sum().backward()
            optimiser.step()
        assert len(optimiser.state) == 2
    assert torch.equal(model.weight, other.weight)
    with pytest.raises(InvalidInput, match="stage is 3"):
        Sharded(stage=3)


def test_two_processes_have_the_weights_of_plain_data_parallel_training_and_half_of_the_states(tmp_path):
    torch.multiprocessing.spawn(train, (str(tmp_path), 32), nprocs=2)
    for rank in range(2):
        plain, *others = torch.load(tmp_path / f"{rank}.pt").values()
        assert all(torch.equal(plain["weights"], other["weights"]) for other in others)
        assert all(0.45 * plain["states"] < other["states"] < 0.55 * plain["states"] for other in others)
        assert all(other["all"] == 8 for other in others)  # each has all states afterwards
