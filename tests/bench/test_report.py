"""Tables come from result files, stale docs are noticed, and a page says once where its figures come from."""

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
ERASURE = {
    "benchmark": "erasure", "date": "2026-01-03T03:04:05+00:00", "mnemos": "0.1.0", "command": "mnemos bench erasure",
    "machine": MACHINE, "cases": 1, "cubes_forgotten": 2, "derived_forgotten": 3, "remains": {"rows": 0}, "wrongly_gone": 0,
}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """A repository with one page and one result."""
    (tmp_path / "docs").mkdir()
    write(tmp_path, STARTUP)
    page = tmp_path / "docs" / "benchmarks.md"
    page.write_text(PAGE, encoding="utf-8")
    return tmp_path, page


def write(root, result):
    folder = root / report.RESULTS / "text"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result['benchmark']}.json").write_text(json.dumps(result), encoding="utf-8")


def test_the_table_is_rendered_between_its_marks_and_the_prose_is_left(place):
    root, page = place
    assert report.render(root) == [page]
    text = page.read_text(encoding="utf-8")
    assert "| memory after the first embed | 140 MB |" in text
    line = "2 cores of A CPU with 8.0 GiB, Python 3.11.7, onnxruntime 1.20, Mnemos 0.1.0"
    assert f"<sub>`mnemos bench startup` · {line} · 2026-01-02</sub>" in text
    assert "old" not in text
    assert text.startswith("# Benchmarks\n\nProse.\n\n<!-- table startup -->\n| what ")
    assert text.endswith("<!-- end startup -->\n\nMore prose.\n")
    assert report.render(root) == []


def test_a_page_names_machine_and_day_once_and_a_table_only_what_differs(place):
    root, page = place
    write(root, ERASURE)
    marks = "".join(f"<!-- table {name} -->\n<!-- end {name} -->\n" for name in ("startup", "erasure"))
    page.write_text("<!-- measured -->\n<!-- end measured -->\n" + marks, encoding="utf-8")
    report.render(root)
    text = page.read_text(encoding="utf-8")
    assert text.count("A CPU") == 1
    assert "Mnemos 0.1.0, 2026-01-02, unless a table says otherwise.</sub>\n<!-- end measured -->" in text
    assert "<sub>`mnemos bench startup`</sub>" in text
    assert "<sub>`mnemos bench erasure` · 2026-01-03</sub>" in text


def test_every_page_of_docs_and_the_readme_are_rendered(place):
    root, page = place
    inner = root / "docs" / "results" / "text.md"
    inner.parent.mkdir()
    for path in (root / "README.md", inner):
        path.write_text(PAGE, encoding="utf-8")
    (root / "docs" / "prose.md").write_text("No table.\n", encoding="utf-8")
    assert report.render(root) == [root / "README.md", page, inner]


def test_check_fails_on_stale_docs_and_writes_nothing(place):
    root, page = place
    with pytest.raises(report.StaleDocs, match=r"docs/benchmarks.md .* run `mnemos bench report`"):
        report.render(root, check=True)
    assert page.read_text(encoding="utf-8") == PAGE
    report.render(root)
    assert report.render(root, check=True) == []
    write(root, STARTUP | {"mnemos": "0.2.0"})
    with pytest.raises(report.StaleDocs):
        report.render(root, check=True)


def test_marks_in_a_fenced_block_are_an_example(place):
    root, page = place
    example = "```markdown\n<!-- table none -->\n<!-- end none -->\n```\n"
    page.write_text(PAGE + example, encoding="utf-8")
    assert report.render(root) == [page]
    assert page.read_text(encoding="utf-8").endswith("More prose.\n" + example)


def test_what_was_not_measured_is_said_so(place):
    root, page = place
    (root / report.RESULTS / "text" / "startup.json").unlink()
    report.render(root)
    assert "Not measured yet: there is no `text/startup.json`" in page.read_text(encoding="utf-8")


def test_an_unknown_table_and_a_folder_without_tables_are_refused(place, tmp_path):
    root, page = place
    page.write_text("<!-- table startups -->\n<!-- end startups -->\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="'startups': did you mean startup"):
        report.render(root)
    page.unlink()
    with pytest.raises(InvalidInput, match="no page under"):
        report.render(root)


def test_numbers_are_aligned_to_the_right():
    assert report.markdown([["system", "n"], ["a", 1], ["b", "0.5 / 0.6"]]) == (
        "| system | n |\n| --- | ---: |\n| a | 1 |\n| b | 0.5 / 0.6 |"
    )
