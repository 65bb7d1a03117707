"""What every strategy of continual learning owes: any of them rides on a learner, is saved with it, and leaves it sound."""

from functools import partial

import pytest
import torch
from torch import nn

from mnemos.bench.parametric.learning.backbones import Rows
from mnemos.bench.parametric.learning.streams import glyphs, split
from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.learner import CannotWork, Learner
from mnemos.parametric.consolidate.saving import load, save
from mnemos.registry import all_entries

pytestmark = pytest.mark.filterwarnings(f"ignore::{CannotWork.__module__}.{CannotWork.__name__}")
STRATEGIES = {entry.name: entry.target for entry in all_entries("parametric", kind="strategy")}
IMAGES = glyphs(classes=6, train=80, test=10)
TASKS = split(IMAGES)


RIDES = ("prompt-pool", "adapter-pool", "self-expansion")  # on a backbone


def network(seed=0, name=""):
    torch.manual_seed(seed)
    if name in RIDES:
        return Rows(8, 8, 6, width=16)
    last = nn.Identity() if name == "compatible-update" else nn.ReLU()  # its features are not cut off at 0
    return nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 12), last, nn.Linear(12, 6))


def learner(name, seed=0):
    return Learner(
        network(name=name), STRATEGIES[name](), optimise=partial(torch.optim.SGD, lr=0.1, momentum=0.9), seed=seed
    )


def stream(batch=8):
    for number, task in enumerate(TASKS):
        generator = torch.Generator().manual_seed(number)
        for _ in range(2):
            for rows in torch.randperm(len(task.train.y), generator=generator).split(batch):
                yield task.train.x[rows], task.train.y[rows], number


def lived(name, steps=None, of=None):
    made = of or learner(name)
    for x, y, task in list(stream())[made.steps if of else 0 : steps]:
        made.observe(x, y, task)
    return made


def said(made):
    return torch.stack([made.predict(IMAGES.test.x, task) for task in range(2)])


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_learns_a_stream_and_answers_with_numbers(name):
    made = lived(name)
    made.end_task()
    answers = made.predict(IMAGES.test.x, len(TASKS) - 1)
    assert answers.shape == (len(IMAGES.test.y), 6)
    assert answers.isfinite().all()
    newest = TASKS[-1].test
    assert float((made.predict(newest.x, len(TASKS) - 1).argmax(-1) == newest.y).float().mean()) > 0.3


@pytest.mark.parametrize("name", STRATEGIES)
def test_saved_in_the_middle_it_ends_with_the_same_bits(name, tmp_path):
    whole = lived(name)
    half = lived(name, steps=57)
    save(half, tmp_path / "learner")
    torch.manual_seed(99)
    other = learner(name, seed=5)
    load(other, tmp_path / "learner")
    again = lived(name, of=other)
    assert torch.equal(said(again), said(whole))
    again.end_task(), whole.end_task()
    assert torch.equal(said(again), said(whole))
    assert again.nbytes == whole.nbytes


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_knobs_are_not_changed_by_a_life(name):
    knobs = STRATEGIES[name]()
    made = Learner(network(name=name), knobs)
    for x, y, task in list(stream())[:10]:
        made.observe(x, y, task)
    assert not knobs.tensors() or knobs.nbytes <= 8
    assert made.strategies[0] is not knobs


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_it_needs_and_is_not_given_is_said(name):
    made = learner(name)
    x, y, _ = next(stream())
    if made.strategies[0].needs_tasks:
        with pytest.raises(InvalidInput, match="name the task"):
            made.observe(x, y)
    else:
        assert made.observe(x, y) > 0
    if made.strategies[0].stores_samples:
        with pytest.raises(InvalidInput, match="rehearsal-free"):
            Learner(network(name=name), STRATEGIES[name](), rehearsal_free=True)


def test_a_file_of_another_learner_is_refused(tmp_path):
    save(lived("replay", steps=3), tmp_path / "learner")
    with pytest.raises(InvalidInput, match="strategies and settings"):
        load(learner("anchor"), tmp_path / "learner")
