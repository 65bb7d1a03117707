"""Tables come from result files, and stale docs are noticed."""

import json

import pytest

from mnemos.bench import report
from mnemos.errors import InvalidInput

PAGE = "# Benchmarks\n\nProse.\n\n<!-- table startup -->\nold\n<!-- end startup -->\n\nMore prose.\n"
MACHINE = {"cores": 2, "cpu": "A CPU", "memory_gib": 8.0, "python": "3.11.7", "onnxruntime": "1.20"}
STARTUP = {
    "benchmark": "startup",
    "date": "2026-01-02T03:04:05+00:00",
    "mnemos": "0.1.0",
    "command": "mnemos bench startup",
    "machine": MACHINE,
    "import_ms": {"min": 80.4, "median": 95.0, "n": 9},
    "process_ms": {"python": 20.0, "with_mnemos": 120.0},
    "memory": {"idle_mb": 61.2, "after_embed_mb": 140.0},
}


@pytest.fixture
def place(tmp_path):
    results, docs = tmp_path / "results", tmp_path / "benchmarks.md"
    (results / "text").mkdir(parents=True)
    docs.write_text(PAGE, encoding="utf-8")
    (results / "text" / "startup.json").write_text(json.dumps(STARTUP), encoding="utf-8")
    return results, docs


def test_the_table_is_rendered_between_its_marks_and_the_prose_is_left(place):
    results, docs = place
    assert report.render(results, docs) is True
    text = docs.read_text(encoding="utf-8")
    assert "| memory after the first embed | 140 MB |" in text
    assert "<sub>`mnemos bench startup` · 2026-01-02 · Mnemos 0.1.0 · 2 cores of A CPU, 8.0 GiB" in text
    assert "old" not in text
    assert text.startswith("# Benchmarks\n\nProse.\n\n<!-- table startup -->\n| what ")
    assert text.endswith("<!-- end startup -->\n\nMore prose.\n")
    assert report.render(results, docs) is False


def test_check_fails_on_stale_docs_and_writes_nothing(place):
    results, docs = place
    with pytest.raises(report.StaleDocs, match="mnemos bench report"):
        report.render(results, docs, check=True)
    assert docs.read_text(encoding="utf-8") == PAGE
    report.render(results, docs)
    assert report.render(results, docs, check=True) is False
    (results / "text" / "startup.json").write_text(json.dumps(STARTUP | {"mnemos": "0.2.0"}), encoding="utf-8")
    with pytest.raises(report.StaleDocs):
        report.render(results, docs, check=True)


def test_what_was_not_measured_is_said_so(place):
    results, docs = place
    (results / "text" / "startup.json").unlink()
    report.render(results, docs)
    assert "Not measured yet: there is no `text/startup.json`" in docs.read_text(encoding="utf-8")


def test_an_unknown_table_and_a_missing_page_are_refused(place):
    results, docs = place
    docs.write_text("<!-- table nonsense -->\n<!-- end nonsense -->\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="nonsense"):
        report.render(results, docs)
    with pytest.raises(InvalidInput, match="not there"):
        report.render(results, docs.with_name("none.md"))


def test_numbers_are_aligned_to_the_right():
    assert report.markdown([["system", "n"], ["a", 1], ["b", "0.5 / 0.6"]]) == (
        "| system | n |\n| --- | ---: |\n| a | 1 |\n| b | 0.5 / 0.6 |"
    )
