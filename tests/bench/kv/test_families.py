"""Families of models by methods: no silent wrong answer, and a wrong one would be seen."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation.layer import CacheLayer
from mnemos.bench.kv.families import by_family, by_method, cells, problem, refusals
from mnemos.bench.kv.family_cells import Options
from mnemos.bench.progress import SILENT
from mnemos.errors import InvalidInput, NotFound

METHODS = ("snapkv", "adakv", "kivi")
FAMILIES = ("Mistral", "Gemma 3n", "GPT-2", "DeepSeek V3", "LFM2 (hybrid)")


def measured(families, methods):
    from mnemos.bench.kv.family_runs import measure

    torch.set_num_threads(1)
    with torch.no_grad():
        return {"families": measure(Options(families, methods), SILENT)}


@pytest.fixture(scope="module")
def result():
    return measured(FAMILIES, METHODS)


def test_every_answer_is_right_or_refused_with_a_reason(result):
    assert problem(result) is None
    assert all(cell.get("why") for _, cell in cells(result) if cell["outcome"] == "refused")
    for family in ("Mistral", "Gemma 3n", "GPT-2"):
        found = result["families"][family]
        assert {c["outcome"] for by in found["cache"].values() for c in by["sdpa"].values()} == {"exact"}
        for method in ("snapkv", "adakv"):
            runs = found["methods"][method]["float32"]
            assert runs["none"]["all"]["outcome"] == runs["left"]["all"]["outcome"] == "exact"
    assert {c["outcome"] for c in result["families"]["DeepSeek V3"]["cache"]["bfloat16"]["eager"].values()} <= {"exact"}


def test_the_tables_have_every_family_and_method(result):
    assert [row[0] for row in by_family(result)[1:]] == list(FAMILIES)
    assert [row[0] for row in by_method(result)[1:]] == list(METHODS)
    assert any("conv" in row[0] and "LFM2" in row[1] for row in refusals(result))


def test_a_wrong_answer_is_a_problem(monkeypatch):
    attend = CacheLayer.attend

    def forgetful(self, module, query, new, scaling, window):
        new.keys = new.keys * 0.5
        return attend(self, module, query, new, scaling, window)

    monkeypatch.setattr(CacheLayer, "attend", forgetful)
    assert "wrong" in problem(measured(("Llama",), ("tova",)))


def test_unknown_names_are_refused():
    with pytest.raises(InvalidInput, match="family 'Lama'"):
        measured(("Lama",), ())
    with pytest.raises(NotFound):
        measured(("Llama",), ("snapvk",))
