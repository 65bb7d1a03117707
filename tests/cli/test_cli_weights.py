"""`mnemos weights`, as a user types it."""

import json
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from mnemos import Mnemos
from mnemos.cli import app, weights
from mnemos.migrate.form_schedule import FormCosts

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.migrate import low_rank
from tests.migrate.low_rank import Letters, learn, tiny


class Talking(Letters):
    chat_template = None

    def __call__(self, text, add_special_tokens=True, return_tensors=None):
        found = super().__call__(text, add_special_tokens)
        if return_tensors is None:
            return found
        import torch

        return {"input_ids": torch.tensor([found["input_ids"]])}

    def decode(self, ids, skip_special_tokens=True):
        return "".join(chr(33 + i % 90) for i in ids.tolist())


@pytest.fixture
def run(tmp_path, monkeypatch):
    low_rank.use(monkeypatch.setattr)
    model = tiny()
    monkeypatch.setattr(weights, "_load", lambda name: (model, Talking()))
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("MNEMOS_EMBEDDER", "none")
    monkeypatch.delenv("MNEMOS_SPACE", raising=False)

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        return result.stdout

    call("add", "I have a dog called Bo.", "--speaker", "Ana")
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        space = memory.space("default")
        call.text = next(iter(space.cubes())).id
        call.cube = learn(space, model, [space.get(call.text)]).id
    return call


def test_weights_are_listed_shown_asked_and_removed(run):
    (row,) = json.loads(run("weights", "list", "--json"))
    assert (row["id"], row["stale"]) == (run.cube, None)
    assert "in use" in run("weights", "list")
    assert "low-rank" in run("weights", "show", run.cube)
    said = json.loads(run("weights", "ask", "Who is Bo?", "--tokens", "3", "--json"))
    assert said["weights"] == [run.cube]
    assert said["answer"]
    run("update", run.text, "I have no dog.")
    assert "updated" in json.loads(run("weights", "list", "--json"))[0]["stale"]
    run("weights", "remove", run.text, code=1)
    assert "texts stay" in run("weights", "remove", run.cube)
    assert json.loads(run("weights", "list", "--json")) == []
    assert json.loads(run("show", run.text, "--json"))


def test_what_the_gate_refuses_is_told_by_the_exit_code(run):
    run("weights", "learn", code=1)
    said = json.loads(run("weights", "learn", run.text, "--into", "low-rank", "--steps", "1", "--json", code=1))
    assert not said["promoted"]
    assert said["decision"]["reasons"]
    assert said["learned"] == [run.text]
    assert len(json.loads(run("weights", "list", "--json"))) == 1


def test_a_plan_says_what_should_move(run, tmp_path):
    costs = FormCosts(prefill=0.005, kv_bytes=46_080, load=2e-9, train=60, weight_bytes=1e9, attach=0.001)
    file = tmp_path / "forms.json"
    file.write_text(json.dumps({"costs": asdict(costs), "measured": {"model": "tiny"}}))
    (move,) = json.loads(run("weights", "plan", "--costs", file, "--json"))
    assert (move["id"], move["now"], move["to"]) == (run.text, "weights", "text")
    assert "recalls a day" in move["reason"]
    file.write_text("{}")
    run("weights", "plan", "--costs", file, code=1)
