"""The benchmark of forms: its result says what it was lived with, and its tables show each choice."""

import json
from dataclasses import asdict

from mnemos.bench.parametric import year
from mnemos.bench.parametric.forms import Options, costs_table, run, table
from mnemos.bench.progress import SILENT
from mnemos.migrate.form_schedule import FormCosts


def test_a_year_by_every_choice_and_where_its_costs_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(year, "DAYS", 40)
    costs = FormCosts(prefill=0.005, kv_bytes=46_080, load=2e-9, train=60, weight_bytes=1e6, attach=0.001)
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"costs": asdict(costs), "measured": {"model": "tiny"}}))
    options = Options(costs=file, memories=4, seeds=1, rate=0.5)
    result = run(options, SILENT)
    assert json.loads(json.dumps(result)) == run(options, SILENT), "the same seeds give the same years"
    assert result["costs"] == asdict(costs)
    for row in result["years"]:
        assert row["seconds"]["oracle"] <= min(row["seconds"].values()) + 1e-6
    assert len(table(result)) == 1 + len(result["years"]) == 21
    assert {len(row) for row in table(result)} == {len(table(result)[0])}
    assert ["from", "tiny, an earlier result"] in costs_table(result)
    assert [len(each["forms"]) for each in result["picture"].values()] == [4, 4]
