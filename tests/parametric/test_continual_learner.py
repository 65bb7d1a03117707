"""The loop of continual learning: the order of hooks, tasks and boundaries, what takes part, and a process that is killed."""

import copy
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.lives import Life, live, perceptron
from mnemos.bench.parametric.learning.streams import glyphs, rotated, split
from mnemos.errors import InvalidInput, ModelError
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.base import Batch, Composed, Strategy
from mnemos.parametric.consolidate.boundaries import LossJump
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.gem import AveragedGEM
from mnemos.parametric.consolidate.importance import fisher, sensitivity
from mnemos.parametric.consolidate.learner import CannotWork, Learner
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.saving import load, save

IMAGES = glyphs(classes=6, train=40, test=10)
TASKS = split(IMAGES)


def net(seed=0, out=6):
    return perceptron([64, 16, out], seed)


@dataclass
class Diary(Strategy):
    """Writes down when it was called."""

    name: str
    pages: list = field(default_factory=list)

    def before_task(self, learning):
        self.pages.append(f"{self.name} before {learning.task}")

    def loss(self, learning, step):
        self.pages.append(f"{self.name} loss")

    def after_backward(self, learning, step):
        self.pages.append(f"{self.name} backward")

    def after_step(self, learning, step):
        self.pages.append(f"{self.name} step")

    def after_task(self, learning):
        self.pages.append(f"{self.name} after {learning.task}")


def test_hooks_are_called_at_five_moments_in_the_order_of_the_strategies():
    learner = Learner(net(), Diary("a") + Diary("b"))
    pages = learner.strategies[0].pages = learner.strategies[1].pages
    x, y = TASKS[0].train.x[:4], TASKS[0].train.y[:4]
    learner.observe(x, y, 3)
    learner.observe(x, y, 7)
    moments = ["loss", "backward", "step"]
    step = [f"{who} {what}" for what in moments for who in "ab"]
    assert pages == ["a before 3", "b before 3", *step, "a after 3", "b after 3", "a before 7", "b before 7", *step]


def test_plus_composes_and_keeps_the_order():
    three = Replay(10) + (Distillation() + SlowCopy())
    assert isinstance(three, Composed)
    assert [type(s) for s in three] == [Replay, Distillation, SlowCopy]
    assert [type(s) for s in Replay(10) + Distillation() + SlowCopy()] == [type(s) for s in three]


def test_without_strategies_it_is_gradient_descent():
    learner, other = Learner(net()), net()
    optimiser = torch.optim.SGD(other.parameters(), lr=0.1)
    for rows in torch.arange(80).split(8):
        x, y = IMAGES.train.x[rows], IMAGES.train.y[rows]
        learner.observe(x, y)
        optimiser.zero_grad()
        F.cross_entropy(other(x), y).backward()
        optimiser.step()
    for mine, theirs in zip(learner.model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_replayed_batch_counts_as_the_mean_over_both():
    learner = Learner(net(), Replay(items=8, batch=8))
    first, second = IMAGES.train.x[:8], IMAGES.train.x[40:44]
    y1, y2 = IMAGES.train.y[:8], IMAGES.train.y[40:44]
    learner.observe(first, y1)
    with torch.no_grad():
        wanted = F.cross_entropy(learner.model(torch.cat([second, first])), torch.cat([y2, y1]))
    assert learner.observe(second, y2) == pytest.approx(float(wanted), abs=1e-6)


def test_tasks_end_when_another_begins_and_boundaries_are_found():
    stream = rotated(IMAGES, [0, 90, 180])
    learner = Learner(net(), Diary("d"), optimise=partial(torch.optim.SGD, lr=0.2), boundaries=LossJump(wait=20))
    ends = []
    for task in stream:
        for _ in range(6):
            for rows in torch.randperm(240, generator=torch.Generator().manual_seed(0)).split(12):
                learner.observe(task.train.x[rows], task.train.y[rows])
                ends.append(learner.task)
    begun = [i for i, (a, b) in enumerate(zip(ends, ends[1:], strict=False), 1) if a != b]
    assert begun == pytest.approx([120, 240], abs=4)


def test_strategies_that_contradict_are_refused_and_what_cannot_work_is_said():
    with pytest.raises(InvalidInput, match="rehearsal-free"):
        Learner(net(), Replay(), rehearsal_free=True)
    with pytest.raises(InvalidInput, match="both are the projection of gradients"):
        Learner(net(), AveragedGEM() + AveragedGEM())
    with pytest.warns(CannotWork, match="add rehearsal"):
        Learner(net(), Anchor())
    with pytest.raises(InvalidInput, match="name the task"):
        Learner(net(), Distillation()).observe(TASKS[0].train.x[:2], TASKS[0].train.y[:2])


def test_bad_batches_are_refused_and_change_nothing():
    learner = Learner(net(), Replay(5))
    before = [p.clone() for p in learner.model.parameters()]
    with pytest.raises(InvalidInput, match="as many of both"):
        learner.observe(torch.zeros(3, 64), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ModelError, match="lower the rate"):
        learner.observe(torch.full((2, 64), float("nan")), torch.zeros(2, dtype=torch.long))
    assert all(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))


def test_in_the_scenario_task_only_classes_of_the_task_take_part():
    learner = Learner(net(), scenario="task")
    for number, task in enumerate(TASKS):
        learner.observe(task.train.x[:40], task.train.y[:40].clone(), number)
        learner.observe(task.train.x[40:], task.train.y[40:], number)
    for number in range(3):
        said = learner.predict(IMAGES.test.x, number).argmax(-1)
        assert set(said.tolist()) <= {2 * number, 2 * number + 1}


def reference(model, x, y, exact):
    """Squared gradients sample by sample, class by class."""
    total = [torch.zeros_like(p) for p in model.parameters()]
    for one, label in zip(x, y, strict=True):
        logs = model(one[None]).log_softmax(-1)[0]
        for c in range(len(logs)) if exact else [int(label)]:
            model.zero_grad()
            logs[c].backward(retain_graph=True)
            share = float(logs[c].detach().exp()) if exact else 1.0
            for t, p in zip(total, model.parameters(), strict=True):
                t += share * p.grad**2 / len(x)
    return total


@pytest.mark.parametrize("kind", ["exact", "empirical"])
def test_fisher_is_the_mean_of_squared_gradients_of_single_samples(kind):
    learner = Learner(net())
    x, y = IMAGES.train.x[::29], IMAGES.train.y[::29]
    learner.observe(x, y, 0)
    learner.end_task()
    batch = Batch(x, y, torch.zeros(len(y), dtype=torch.long))
    before = [p.clone() for p in learner.model.parameters()]
    found = fisher(learner, batch, kind)
    for mine, theirs in zip(found.values(), reference(learner.model, x, y, kind == "exact"), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-8)
    assert all(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))


def test_fisher_of_the_mean_gradient_is_another_thing_and_drawn_labels_are_right_in_the_mean():
    learner = Learner(net())
    x, y = IMAGES.train.x[::12], IMAGES.train.y[::12]
    learner.observe(x, y, 0)
    batch = Batch(x, y, torch.zeros(len(y), dtype=torch.long))
    exact = fisher(learner, batch)["0.weight"]
    drawn = torch.stack([fisher(learner, batch, "sampled")["0.weight"] for _ in range(200)]).mean(0)
    assert float((drawn - exact).norm() / exact.norm()) < 0.1
    assert float(fisher(learner, batch, "batched")["0.weight"].sum()) < 0.3 * float(exact.sum())


def test_importance_by_layer_and_by_sample_agree():
    by_layer, x = net(), torch.rand(6, 64)
    by_sample = copy.deepcopy(by_layer)
    by_sample.extra = nn.Parameter(torch.zeros(2))  # a weight that is in no layer
    found = sensitivity(Learner(by_sample), x)
    assert not found.pop("extra").any()
    for name, value in sensitivity(Learner(by_layer), x).items():
        torch.testing.assert_close(found.pop(name), value)
    assert not found


def test_a_task_that_is_summed_up_knows_no_class_of_the_next():
    @dataclass
    class Seen(Strategy):
        classes: list = field(default_factory=list)

        def after_task(self, learning):
            self.classes.append(learning.seen)

    learner = Learner(net(), Seen())
    for number, task in enumerate(TASKS):
        learner.observe(task.train.x, task.train.y, number)
    learner.end_task()
    assert learner.strategies[0].classes == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 9))
def test_a_reservoir_holds_rows_of_the_stream_each_at_most_once(items, sizes, seed):
    generator, buffer, at = torch.Generator().manual_seed(seed), Buffer(items), 0
    for size in sizes:
        rows = torch.arange(at, at + size)
        buffer.see(rows, rows * 2, generator=generator)
        at += size
    held, doubled = buffer.held
    assert len(held) == min(items, at) == len(set(held.tolist()))
    assert torch.equal(doubled, held * 2)
    assert buffer.met == at


def test_a_reservoir_is_uniform_and_a_balanced_buffer_is_balanced():
    generator, counts = torch.Generator().manual_seed(0), torch.zeros(50)
    for _ in range(1500):
        buffer = Buffer(10)
        for rows in torch.arange(50).split(7):
            buffer.see(rows, generator=generator)
        counts[buffer.held[0]] += 1
    assert float((counts / 1500 - 0.2).abs().max()) < 0.05  # 5 deviations
    buffer = Buffer(12, "balanced")
    for c, size in ((0, 100), (1, 8), (2, 50), (3, 30)):
        buffer.see(torch.arange(size), torch.full((size,), c), generator=generator)
    assert buffer.held[1].bincount().tolist() == [3, 3, 3, 3]


def test_the_slow_copy_is_the_moving_average_of_the_weights():
    learner, wanted = Learner(net(), SlowCopy(decay=0.9)), None
    for n, rows in enumerate(torch.arange(200).split(8), 1):
        learner.observe(IMAGES.train.x[rows], IMAGES.train.y[rows])
        fast = learner.model[0].weight.detach().clone()
        share = min(0.9, (1 + n) / (10 + n))
        wanted = fast if wanted is None else share * wanted + (1 - share) * fast
    torch.testing.assert_close(learner.strategies[0].slow[0].weight, wanted)


def life(path, last):
    """Learn up to a step, saving after each; go on from what is there."""
    torch.set_num_threads(1)
    learner = Learner(perceptron([64, 16, 6], 0), Replay(20) + Anchor(1.0), seed=3)
    if path.exists():
        load(learner, path)
    for step in range(learner.steps, last):
        part = TASKS[step // 40].train
        rows = torch.randperm(80, generator=torch.Generator().manual_seed(step))[:8]
        learner.observe(part.x[rows], part.y[rows], step // 40)
        save(learner, path)
    return [*learner.model.parameters(), *learner.strategies[0].buffer.held, learner.generator.get_state()]


def test_a_learner_killed_at_any_step_ends_with_the_same_bits(tmp_path):
    path = tmp_path / "killed"
    code = f"from pathlib import Path; from test_continual_learner import life; life(Path({str(path)!r}), 100)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent)
    while not path.exists():
        time.sleep(0.002)
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for mine, theirs in zip(life(path, 100), life(tmp_path / "whole", 100), strict=True):
        assert torch.equal(mine, theirs)


def test_strategies_keep_what_plain_training_loses():
    """The claims that do not need real data: on glyphs, in seconds, with the sizes of a small network."""
    images = glyphs(classes=6, train=120, test=40, seed=1)
    tasks = split(images)

    def end(*strategies, asked=False, **knobs):
        learner = Learner(perceptron([64, 32, 6], 0), strategies, optimise=partial(torch.optim.SGD, lr=0.1), **knobs)
        return live(learner, tasks, Life(batch=8, epochs=2, asked=asked)).figures()

    plain, replayed = end(), end(Replay(60, 8))
    assert plain["accuracy"] < 0.4 < 0.7 < replayed["accuracy"]
    assert replayed["nbytes"] == 60 * (64 * 4 + 8 + 8) + 8


def test_metrics_need_all_ends():
    learner = Learner(net())
    lived = live(learner, TASKS, Life(batch=20))
    lived.accuracies.ends.pop()
    with pytest.raises(InvalidInput, match="2 of 3 tasks"):
        lived.figures()
