"""A benchmark is one file: its command, options, tables and what it says of methods come from there alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mnemos.bench
from mnemos.bench import registry, report
from mnemos.bench.run import run_benchmark
from mnemos.cli import app
from mnemos.errors import InvalidInput, MnemosError

MODULE = '''
"""A benchmark of the length of words."""

from dataclasses import dataclass
from typing import Literal

from mnemos.bench.registry import Figure, benchmark


@dataclass(frozen=True)
class Options:
    """What to count."""

    words: tuple[str, ...] = ("one", "three")  # words to count
    unit: Literal["letters", "bytes"] = "letters"  # what is counted
    limit: int | None = None  # use only the first N words
    loud: bool = False  # count twice


def table(result):
    """Return the counts."""
    return [["word", "count"], *([word, count] for word, count in result["counts"].items())]


def figure(result, entry):
    """Return what the counts say of the method `terms`."""
    return Figure("counts 2 words") if entry.name == "terms" else None


def problem(result):
    """Return whether a word was empty."""
    return "an empty word" if 0 in result["counts"].values() else None


@benchmark("lengths", help="Count.", options=Options, tables={"lengths": table}, figure=figure, problem=problem)
def run(options, progress):
    """Count."""
    progress.expect(len(options.words))
    counts = {word: len(word) * (1 + options.loud) for word in options.words[: options.limit]}
    progress(len(counts))
    return {"unit": options.unit, "counts": counts}
'''


@pytest.fixture
def lengths(tmp_path, monkeypatch):
    """A file of a new family, in a folder that `mnemos.bench` is extended by; nothing else names it."""
    (tmp_path / "more" / "counts").mkdir(parents=True)
    (tmp_path / "more" / "counts" / "lengths.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.setattr(mnemos.bench, "__path__", [*mnemos.bench.__path__, str(tmp_path / "more")])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("mnemos.bench.counts.lengths", "mnemos.bench.counts"):
        sys.modules.pop(name, None)
    registry._BENCHMARKS.pop("lengths", None)


def test_one_file_gives_the_command_its_options_and_its_help(lengths):
    run = CliRunner().invoke
    assert "lengths" in run(app, ["bench", "--help"]).stdout
    shown = " ".join(run(app, ["bench", "lengths", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert "Words to count, separated by commas (default: one,three)." in shown
    assert "Use only the first N words." in shown
    assert "--no-loud" in shown
    told = run(app, ["bench", "lengths", "--words", "a, bb", "--limit", "1", "--loud", "--json"])
    result = json.loads(told.stdout)
    assert result["counts"] == {"a": 2}
    assert result["command"] == "mnemos bench lengths --words a,bb --limit 1 --loud"
    assert "bb" in run(app, ["bench", "lengths", "--words", "bb"]).stdout


def test_one_file_gives_the_result_the_table_and_the_figure(lengths):
    run_benchmark("lengths")
    written = lengths / registry.RESULTS / "counts" / "lengths.json"
    assert json.loads(written.read_text(encoding="utf-8"))["counts"] == {"one": 3, "three": 5}
    (lengths / "README.md").write_text("<!-- table lengths -->\n<!-- end lengths -->\n", encoding="utf-8")
    report.render(lengths)
    assert "| three | 5 |" in (lengths / "README.md").read_text(encoding="utf-8")
    assert registry.measured(lengths / registry.RESULTS) == {("index", "terms"): ["lengths"]}


def test_another_measurement_is_not_written_over_the_result(lengths):
    run_benchmark("lengths", limit=1)
    assert not (lengths / registry.RESULTS).exists()
    run_benchmark("lengths", limit=1, out=lengths / "here.json")
    assert (lengths / "here.json").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"word": ("a",)}, "no option 'word': did you mean words"),
        ({"limit": 0}, "limit is 0: give 1 or more"),
        ({"unit": "letter"}, "unit is 'letter': did you mean letters"),
    ],
)
def test_options_that_make_no_sense_are_refused(lengths, options, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        run_benchmark("lengths", **options)


def test_a_result_with_a_problem_is_written_and_fails(lengths):
    with pytest.raises(MnemosError, match="lengths failed: an empty word"):
        run_benchmark("lengths", words=("",), out=lengths / "here.json")
    assert (lengths / "here.json").exists()


def test_an_unknown_benchmark_names_its_neighbours():
    with pytest.raises(InvalidInput, match="'locomoo': did you mean locomo"):
        registry.get("locomoo")
    with pytest.raises(InvalidInput, match="needs --data"):
        run_benchmark("locomo")


def test_a_missing_package_names_the_extra(lengths, monkeypatch):
    found = registry.get("lengths")

    def needs_more(options, progress):
        raise ModuleNotFoundError("no module", name="torch")

    changed = registry.Benchmark("lengths", "counts", "", needs_more, found.options, {}, extra="torch")
    monkeypatch.setitem(registry._BENCHMARKS, "lengths", changed)
    with pytest.raises(MnemosError, match=r"lengths needs torch: pip install 'mnemos-os\[torch\]'"):
        run_benchmark("lengths")


def test_a_name_is_taken_once(lengths):
    registry.get("lengths")
    with pytest.raises(ValueError, match="taken by mnemos.bench.counts.lengths"):
        registry.benchmark("lengths", help="", options=object)(lambda options, progress: {})


def test_every_benchmark_has_a_table_a_help_and_commented_options():
    from mnemos.cli.parameters import parameters

    for found in registry.all_benchmarks():
        assert found.help.endswith((".", "?")), found.name
        assert found.tables, found.name
        assert all(p.comment for p in parameters(found.options)), found.name


def test_every_benchmark_is_on_a_page_of_the_docs():
    root = Path(__file__).parents[2]
    text = "".join(path.read_text(encoding="utf-8") for path in (root / "docs").rglob("*.md"))
    for found in registry.all_benchmarks():
        assert any(f"<!-- table {name} -->" in text for name in found.tables), found.name


def test_no_two_benchmarks_have_a_table_of_one_name():
    names = [name for found in registry.all_benchmarks() for name in found.tables]
    assert sorted(names) == sorted(set(names))


def test_help_and_tables_need_the_core_only():
    heavy = {"torch", "transformers", "httpx", "fastapi", "playwright", "matplotlib", "onnxruntime"}
    code = (
        "import sys; from mnemos.bench.registry import all_benchmarks; assert len(all_benchmarks()) > 30; "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
