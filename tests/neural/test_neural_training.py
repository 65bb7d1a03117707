"""The training loop: it learns, stops, goes on after a kill, and refuses what is not its own."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from mnemos.errors import InvalidInput, ModelError
from mnemos.neural.model import LM
from mnemos.neural.training import UNASKED, Batch, Recipe, accuracy, train

SCRIPT = """
    import sys, torch
    from pathlib import Path
    from safetensors.torch import save_file
    from mnemos.neural.model import LM
    from mnemos.neural.training import Batch, Recipe, train

    def draw(step):
        tokens = torch.randint(8, (4, 9), generator=torch.Generator().manual_seed(step))
        return Batch(tokens[:, :-1], tokens[:, 1:])

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, steps = LM(8, width=8, mixers=["delta-net"]), 0
    def progress(done):
        global steps
        steps += done
        print(steps, flush=True)
    train(model, draw, Recipe(steps=60, keep=10), checkpoint=Path(sys.argv[1]), progress=progress)
    save_file({name: p.detach().clone() for name, p in model.named_parameters()}, sys.argv[2])
"""


def draw(step):
    """The token before last comes again: a task that a memory of one token solves."""
    tokens = torch.randint(8, (16, 8), generator=torch.Generator().manual_seed(step))
    return Batch(tokens, torch.cat([torch.full((16, 1), UNASKED), tokens[:, :-1]], 1))


def model():
    torch.manual_seed(0)
    return LM(8, width=16, mixers=["delta-net"])


def test_it_learns_and_stops_when_it_is_enough():
    lm, tests = model(), [draw(10_000)]
    assert accuracy(lm, *tests) < 0.5
    report = train(lm, draw, Recipe(steps=400, rate=1e-2, goal=0.95, check=20), look=lambda: accuracy(lm, *tests))
    assert report.best >= 0.95
    assert report.steps < 400
    assert accuracy(lm, *tests) == report.best


def test_a_killed_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")

    def run(name):
        return [sys.executable, str(script), str(tmp_path / f"{name}.checkpoint"), str(tmp_path / f"{name}.end")]

    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", run("whole")[1:])
    exec(compile(script.read_text(encoding="utf-8"), "run.py", "exec"), {})  # noqa: S102
    torch.set_num_threads(threads)
    with subprocess.Popen(run("killed"), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) == 37:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.stdout.read()
    assert not (tmp_path / "killed.end").exists()
    done = subprocess.run(run("killed"), check=True, capture_output=True, text=True).stdout.split()
    assert len(done) <= 30
    assert (tmp_path / "whole.end").read_bytes() == (tmp_path / "killed.end").read_bytes()


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    file = tmp_path / "training"
    train(model(), draw, Recipe(steps=2), checkpoint=file)
    with pytest.raises(InvalidInput, match="another training"):
        train(model(), draw, Recipe(steps=3), checkpoint=file)
    with pytest.raises(InvalidInput, match="another training"):
        train(LM(8, width=8, mixers=["delta-net"]), draw, Recipe(steps=2), checkpoint=file)


def test_a_loss_that_is_no_number_ends_it():
    with pytest.raises(ModelError, match="lower the rate"):
        train(model(), draw, Recipe(steps=2), loss=lambda y, t: y.sum() * float("nan"))


def test_targets_that_are_not_asked_do_not_count():
    lm, batch = model(), draw(1)
    others = Batch(batch.inputs, torch.full_like(batch.targets, UNASKED))
    assert accuracy(lm, batch, others) == accuracy(lm, batch)
