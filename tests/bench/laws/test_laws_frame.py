"""The frame of `mnemos bench laws`: curves with intervals, the catalogue, the gallery, and parts that are named."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mnemos.bench.laws import run
from mnemos.bench.laws.catalogue import experiment, laws, paper
from mnemos.bench.laws.claims import Claim, Panel, reported
from mnemos.bench.laws.document import render
from mnemos.bench.laws.fits import _KINDS, fit
from mnemos.bench.progress import SILENT
from mnemos.cli import app
from mnemos.errors import InvalidInput

ROOT = Path(__file__).parents[3]
TRUE = {
    "line": (lambda x: 2 - 0.5 * x, {"start": 2, "slope": -0.5}),
    "logarithm": (lambda x: 2 - 0.5 * np.log(x), {"start": 2, "slope": -0.5}),
    "power law": (lambda x: 3 * x**-0.7, {"scale": 3, "exponent": -0.7}),
    "exponential": (lambda x: 3 * np.exp(-0.2 * x), {"scale": 3, "rate": -0.2}),
    "power law to a floor": (lambda x: 0.5 + 3 * x**-0.7, {"floor": 0.5, "scale": 3, "exponent": -0.7}),
    "exponential to a floor": (lambda x: 0.5 + 3 * np.exp(-x / 7), {"floor": 0.5, "scale": 3, "time": 7}),
    "sigmoid": (
        lambda x: 0.1 + 0.8 / (1 + np.exp(-(x - 15) / 3)),
        {"bottom": 0.1, "height": 0.8, "middle": 15, "width": 3},
    ),
    "sigmoid in log x": (
        lambda x: 0.1 + 0.8 / (1 + (8 / x) ** (1 / 0.4)),
        {"bottom": 0.1, "height": 0.8, "middle": 8, "width": 0.4},
    ),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_numbers_of_a_curve_are_found_and_inside_their_intervals(kind):
    curve, numbers = TRUE[kind]
    xs, rng = np.geomspace(1, 40, 12), np.random.default_rng(1)
    exact = fit(kind, {x: [float(curve(x))] for x in xs})
    assert {name: exact.value(name) for name in numbers} == pytest.approx(numbers, rel=0.02)
    assert exact.r2 == pytest.approx(1, abs=1e-4)
    noisy = fit(kind, {x: [float(curve(x) * (1 + 0.02 * e)) for e in rng.standard_normal(3)] for x in xs})
    inside = [noisy.numbers[name][1] <= value <= noisy.numbers[name][2] for name, value in numbers.items()]
    assert sum(inside) >= len(numbers) - 1  # each misses one time in twenty
    assert all(low <= high for low, high in zip(noisy.low, noisy.high, strict=True))
    assert np.interp(xs, noisy.x, noisy.y) == pytest.approx(curve(xs), rel=0.1, abs=0.2)


def test_lines_are_those_of_least_squares():
    points = {1: [1.0, 1.4], 2: [2.5], 5: [3.0, 4.4]}
    found = fit("line", points)
    x, y = zip(*((x, v) for x, values in points.items() for v in values), strict=True)
    slope, start = np.polyfit(x, y, 1)
    assert (found.value("slope"), found.value("start")) == pytest.approx((slope, start), rel=1e-4)
    assert found.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-4)
    assert found.inside("slope", 0, 2)
    assert not found.inside("slope", 0.9, 2)
    assert found.said("slope").startswith(f"{slope:.3g} (95 %: ")


def test_a_curve_says_what_it_cannot_be_drawn_through():
    with pytest.raises(InvalidInput, match="2 different x: there are 1"):
        fit("line", {1: [1.0, 2.0]})
    with pytest.raises(InvalidInput, match="logarithm of x, which is 0: leave that point out"):
        fit("logarithm", {0: [1.0], 1: [2.0]})
    with pytest.raises(InvalidInput, match="logarithm of y, which is -1"):
        fit("exponential", {0: [1.0], 1: [-1.0]})


def test_laws_are_found_by_their_papers_without_an_import_and_all_of_them_measure():
    assert laws()["forgetting"].papers == ("2401.05605",)
    assert laws()["forgetting"].about.startswith("Forgetting when an adapter is trained: ")
    assert not {"run", "fits", "trainer", "claims"} & laws().keys()
    for name in laws():
        source = (Path(run.__file__).parent / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
        assert "\ndef measure(seed: int" in source, name
        assert "\ndef report(figures: " in source, name
    assert (paper("2401.05605"), paper("Feldman 2020")) == ("arXiv 2401.05605", "Feldman 2020")
    with pytest.raises(InvalidInput, match="did you mean forgetting"):
        run.run(run.Options(parts=("forgeting",)), SILENT)


def test_stored_figures_are_reported_again_without_measuring(tmp_path, monkeypatch):
    class Law:
        def report(self, figures):
            curve = fit("line", figures["y"], "p", "c")
            return reported([Claim("a", "no", "1")], [Panel("p", "x", "y", {"c": figures["y"]})], [curve], "it means")

    monkeypatch.setattr(run, "experiment", lambda name: Law())
    monkeypatch.setattr(run, "STORED", tmp_path / "laws.json")
    with pytest.raises(InvalidInput, match="in the folder of the repository"):
        run.run(run.Options(stored=True), SILENT)
    part = {"seeds": [0], "cpu_seconds": 1, "figures": {"y": {"1": [1.0], "2": [3.0]}}, "claims": []}
    about = {"date": "then", "mnemos": "0", "machine": {"cores": 1}}
    run.STORED.write_text(json.dumps({**about, "parts": {"forgetting": part}}), encoding="utf-8")
    found = run.run(run.Options(stored=True), SILENT)
    assert {name: found[name] for name in about} == about
    said = found["parts"]["forgetting"]
    assert (said["means"], said["figures"], said["cpu_seconds"]) == ("it means", part["figures"], 1)
    assert run.fits(found)[1][:3] == ["forgetting", "p: c", "y = start + slope x"]
    page = render(found)
    assert "**For a memory:** it means" in page
    assert "slope 2 (2 to 2); R² 1.000" in page


def test_a_law_is_repeated_on_other_seeds_and_keeps_its_figures(tmp_path, monkeypatch):
    class Law:
        def measure(self, seed):
            return {"y": float(seed)}

        def report(self, figures):
            seen = "no" if min(figures["y"]) > 2 else "yes"
            return reported([Claim("always", "yes", "1"), Claim("low", seen, "2")], [], means="it means")

    monkeypatch.setattr(run, "experiment", lambda name: Law())
    monkeypatch.setattr(run, "STORED", tmp_path / "laws.json")
    about = {"date": "then", "mnemos": "0", "machine": {"cores": 1}}
    first = run.run(run.Options(parts=("forgetting",)), SILENT)
    run.STORED.write_text(json.dumps(about | first), encoding="utf-8")
    with pytest.raises(InvalidInput, match="stored with seed 2: give other ones"):
        run.run(run.Options(parts=("forgetting",), seeds=(2, 3), repeat=True), SILENT)
    found = run.run(run.Options(parts=("forgetting", "snr"), seeds=(3, 4), repeat=True), SILENT)
    again = {"repeated": {"seeds": (3, 4), "seen": ["yes", "no"]}}
    assert json.dumps(found["parts"]) == json.dumps({"forgetting": first["parts"]["forgetting"] | again})
    assert run.agreement(found["parts"]["forgetting"]) == "1 of 2 (3, 4)"
    assert run.agreement(first["parts"]["forgetting"]) == "-"
    assert "verdicts the same on other seeds: 1 of 2 (3, 4)" in render(found)


def test_the_gallery_is_that_of_the_results_and_every_law_has_its_sentence_command_picture_and_place():
    results = ROOT / run.STORED
    stored = json.loads(results.read_text(encoding="utf-8"))
    page = (ROOT / "docs/laws.md").read_text(encoding="utf-8")
    assert page == render(stored), "run python -m mnemos.bench.laws.document > docs/laws.md"
    tables = (ROOT / "docs/results/laws.md").read_text(encoding="utf-8")
    for name, part in stored["parts"].items():
        assert part["means"]
        assert part["means"] in page
        assert f"`mnemos bench laws {name}`" in page
        assert f"laws-{name}.png" in page
        assert (results.parent / f"laws-{name}.png").exists()
        assert f"<!-- table laws-{name} -->" in tables
        assert f"laws-{name}.png" in tables


def test_parts_are_named_without_a_flag_or_with_it_but_not_both(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "mnemos.bench.run.run_benchmark", lambda name, out, **given: asked.append(given) or {"parts": {}}
    )
    run_it = CliRunner().invoke
    for given in (["forgetting,clashes", "--seeds", "4"], ["--parts", "forgetting,clashes", "--seeds", "4"]):
        assert run_it(app, ["bench", "laws", *given, "--json"]).exit_code == 0
    assert asked == [{"parts": ("forgetting", "clashes"), "seeds": (4,)}] * 2
    refused = run_it(app, ["bench", "laws", "forgetting", "--parts", "clashes"])
    assert refused.exit_code == 2
    assert "give one of" in " ".join(refused.output.split())
    assert run_it(app, ["bench", "weights", "forgetting"]).exit_code == 2  # it has no parts


@pytest.mark.parametrize(
    "name", ["snr", "long-tail", "model-collapse", "associative-capacity", "task-order", "schedules"]
)
def test_what_is_stored_is_what_the_report_says_of_the_stored_figures(name):
    part = json.loads((ROOT / run.STORED).read_text(encoding="utf-8"))["parts"][name]
    found = experiment(name).report(part["figures"])
    assert found["claims"] == part["claims"]
    assert found["means"] == part["means"]
    assert [fit["numbers"].keys() for fit in found["fits"]] == [fit["numbers"].keys() for fit in part["fits"]]
