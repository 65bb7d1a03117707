"""`mnemos task`: what a person sees of the tasks of agents."""

import json

import pytest
from typer.testing import CliRunner

from mnemos import Mnemos
from mnemos.cli import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("MNEMOS_EMBEDDER", "none")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MNEMOS_SPACE", raising=False)
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        trip = memory.space("default").task("porto", agent="planner")
        trip.add("dates", start="2 May", end="5 May")
        trip.add("hotel", "Book a [bold]hotel\x1b[31m", needs=["dates"], nights=3)
        trip.add("breakfast", parent="hotel")
        trip.done("dates", end="6 May")
        trip.start("hotel")
        memory.space("default").task("report").add("draft")
        memory.space("other").add("I live in Porto.")

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, ["task", *arguments])
        assert result.exit_code == code, result.output
        return result

    return call


def test_a_list_counts_the_steps_of_each_task(run):
    found = json.loads(run("list", "--json").stdout)
    porto = {"task": "porto", "steps": 3, "done": 1, "stale": ["hotel", "breakfast"], "active": "hotel"}
    assert found == [porto, {"task": "report", "steps": 1, "done": 0, "stale": [], "active": None}]
    assert ["porto", "3", "1", "hotel,", "breakfast", "hotel"] in [
        line.split() for line in run("list").stdout.splitlines()
    ]
    assert "there are no tasks" in run("list", "--space", "other").output


def test_show_has_the_tree_with_values_and_obeys_no_stored_text(run):
    shown = run("show", "porto").stdout
    assert "done" in shown
    assert "end = 6 May" in shown
    assert "  breakfast" in shown
    assert "[bold]hotel\\x1b[31m" in shown
    assert "\x1b" not in shown
    data = json.loads(run("show", "porto", "--json").stdout)
    assert [step["node"] for step in data["steps"]] == ["dates", "hotel", "breakfast"]
    assert "report" in run("show", "nothing", code=1).output


def test_prompt_is_what_the_agent_gets(run, tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        block = memory.space("default").task("porto").prompt("breakfast")
    assert json.loads(run("prompt", "porto", "breakfast", "--json").stdout)["prompt"] == block
    assert "nights = 3" in run("prompt", "porto").stdout
    assert "raise --tokens" in run("prompt", "porto", "--tokens", "5").output
    assert "no step" in run("prompt", "porto", "flight", code=1).output
