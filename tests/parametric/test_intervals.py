"""Intervals: what a box holds, and a hypernetwork that writes boxes of weights."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mnemos.bench.parametric.learning.interval_lives import WeightBoxes
from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.hyper_interval import HyperInterval
from mnemos.parametric.consolidate.hypernetwork import Hypernetwork
from mnemos.parametric.consolidate.intervals import Box, answers, through, worst
from mnemos.parametric.consolidate.learner import Learner

TASKS = split(glyphs(classes=6, train=40, test=20), within=True)


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))


def lived(strategy, passes=4, seed=0):
    made = Learner(model(), strategy, optimise=partial(torch.optim.Adam, lr=1e-2), scenario="domain", seed=seed)
    for number, task in enumerate(TASKS):
        for _ in range(passes):
            for rows in torch.randperm(len(task.train.y), generator=made.generator).split(20):
                made.observe(task.train.x[rows], task.train.y[rows], number)
    made.end_task()
    return made


def test_a_box_of_inputs_holds_what_layers_make_of_every_input_in_it():
    rng, net = torch.Generator().manual_seed(0), model()
    box = Box(torch.randn(64, generator=rng), 0.1 * torch.rand(64, generator=rng))
    out = through(net, box)
    drawn = torch.stack([net(box.drawn(rng)) for _ in range(200)])
    assert ((drawn - out.centre).abs() <= out.radius + 1e-5).all()
    assert torch.allclose(through(net[:1], box).radius, box.radius @ net[0].weight.abs().T)  # exact for one layer


def test_a_box_of_weights_holds_the_logits_of_every_network_in_it():
    rng, net = torch.Generator().manual_seed(0), model()
    boxes = {n: Box(p.detach(), 0.05 * torch.rand(p.shape, generator=rng)) for n, p in net.named_parameters()}
    x = torch.randn(5, 64, generator=rng)
    out = answers(net, boxes, x)
    for _ in range(100):
        said = functional_call(net, {n: b.drawn(rng) for n, b in boxes.items()}, (x,))
        assert ((said - out.centre).abs() <= out.radius + 1e-5).all()
    points = {n: Box(b.centre, torch.zeros_like(b.radius)) for n, b in boxes.items()}
    assert torch.allclose(answers(net, points, x).centre, net(x), atol=1e-6)
    assert not answers(net, points, x).radius.any()


def test_the_worst_logits_are_low_for_the_label_and_high_for_others():
    said = worst(Box(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.25]])), torch.tensor([0]))
    assert said.tolist() == [[0.5, 2.25]]


def test_boxes_of_no_worst_loss_are_written_as_a_plain_hypernetwork_writes():
    boxed, plain = (s for s in (HyperInterval(worst=0.0, chunk=100), Hypernetwork(chunk=100)))
    learners = [Learner(model(), s, scenario="domain") for s in (boxed, plain)]
    for made in learners:
        made.begin_task(0)
    boxed, plain = (made.strategies[0].generated for made in learners)
    assert torch.allclose(boxed.network(boxed.centre(0))[0], plain.network(boxed.centre(0)), atol=1e-6)


def test_an_earlier_task_is_kept_anywhere_in_its_box():
    made = lived(HyperInterval(strength=0.01, chunk=100, warm=10))
    writer, rng = made.strategies[0].generated, torch.Generator().manual_seed(0)
    boxes = writer.boxes(writer.centre(0), writer.radius)
    assert all((b.radius > 0).any() for b in boxes.values())
    part = TASKS[0].test
    for _ in range(10):
        said = functional_call(made.model.inner, {n: b.drawn(rng).detach() for n, b in boxes.items()}, (part.x,))
        assert float((said.argmax(-1) == part.y).float().mean()) > 0.8


def test_boxes_that_share_a_region_hold_the_embedding_that_is_served():
    made = lived(HyperInterval(radius=1.0, reach=1.0, chunk=100), passes=1)
    writer = made.strategies[0].generated
    for task in writer.tasks:
        assert ((writer.common() - writer.centre(task)).abs() <= writer.radius).all()


def test_boxes_of_weights_lie_within_those_of_the_task_before():
    made = lived(WeightBoxes(0.5, warm=10), passes=1)
    held = made.strategies[0]
    for name, box in held.boxes(made).items():
        (centre, wide) = held.bounds[name]
        assert (box.centre + box.radius <= centre + wide + 1e-6).all()
        assert (box.centre - box.radius >= centre - wide - 1e-6).all()


def test_other_models_than_linear_ones_are_refused():
    with pytest.raises(InvalidInput, match=r"nn\.Linear and nn\.ReLU"):
        Learner(nn.Sequential(nn.Linear(64, 4), nn.Tanh(), nn.Linear(4, 2)), HyperInterval()).begin_task(0)
