"""`mnemos methods`: one method, all of them, and the pages of docs/methods."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from mnemos import registry
from mnemos.cli import app, methods_page
from mnemos.cli.measurements import Measurements
from mnemos.cli.parameters import parameters
from mnemos.errors import NotFound
from mnemos.registry import Entry, get

HERE = Path(__file__).parents[2]
RESULTS = HERE / "benchmarks" / "results"


@dataclass
class Base:
    first: int  # how many
    # the share that
    # remains
    share: float | None = 0.5
    counted: ClassVar[int] = 0


@dataclass
class Method(Base):
    """A method."""

    names: list[str] = field(default_factory=list)  # of what is kept
    limit: int = field(default=3)
    made: int = field(init=False, default=0)  # by the method itself
    share: float | None = 0.25  # another default


class Plain:
    """A class with parameters of its own."""

    def __init__(
        self,
        width: int,  # of a head
        *,
        dtype: type = np.float32,  # of what is held
    ) -> None: ...


def function(view: int, query: str, most: int = 8):
    """A function: what it is given is no parameter, what has a default is."""


def rows(target):
    return [(p.name, p.type, p.default, p.comment) for p in parameters(target)]


def test_a_data_class_has_its_fields_with_the_comment_at_each():
    assert rows(Base) == [
        ("first", "int", "", "how many"),
        ("share", "float | None", "0.5", "the share that remains"),
    ]
    assert rows(Method) == [
        ("first", "int", "", "how many"),
        ("share", "float | None", "0.25", "another default"),
        ("names", "list[str]", "list()", "of what is kept"),
        ("limit", "int", "3", ""),
    ]


def test_a_class_has_the_arguments_of_its_init_and_a_function_those_with_a_default():
    assert rows(Plain) == [("width", "int", "", "of a head"), ("dtype", "type", "np.float32", "of what is held")]
    assert rows(function) == [("most", "int", "8", "")]


def test_one_method_is_shown_with_all_that_is_registered_of_it():
    shown = json.loads(CliRunner().invoke(app, ["methods", "snapkv", "--json"]).stdout)
    entry = get("snapkv")
    assert shown["kind"] == entry.kind
    assert (shown["task"], shown["baselines"], shown["phase"]) == (entry.task, list(entry.baselines), "prompt")
    assert (shown["unmeasured"], shown["address"]) == (entry.unmeasured, entry.address)
    text = CliRunner().invoke(app, ["methods", "snapkv"], env={"COLUMNS": "400"}).stdout
    assert all(word in text for word in (entry.summary, entry.task, *entry.baselines))
    assert "phase" not in CliRunner().invoke(app, ["methods", "ebbinghaus"]).stdout


def test_an_unknown_method_and_one_whose_extra_is_missing_say_what_to_do(monkeypatch):
    def answer(name):
        result = CliRunner().invoke(app, ["methods", name, "--json"])
        assert result.exit_code == 1
        return json.loads(result.stderr)

    told = answer("snapvk")
    assert told["type"] == "NotFound"
    assert told["error"].startswith("there is no method 'snapvk': did you mean snapkv, ")
    monkeypatch.setattr(registry, "installed", lambda form: form == "text")
    assert answer("snapkv")["error"].endswith("'activation', which needs torch: pip install 'mnemos-os[torch]'")


def test_a_method_without_a_result_says_why():
    entry = Entry("x", "activation", "forget", "Do.", (), Method, unmeasured="needs a trained model")
    assert Measurements(RESULTS).sentence(entry) == "Not measured: needs a trained model"


def test_a_cache_method_is_shown_beside_its_baselines(tmp_path):
    cell = {"0.25": {"accuracy": 0.75}}
    methods = {n: {"task": "records", "baselines": ["random"], "tasks": {"records": cell}} for n in ("x", "random")}
    methods["random"]["tasks"] = {"records": {"0.25": {"accuracy": 0.5}}}
    (tmp_path / "kv").mkdir()
    text = {"benchmark": "kv", "command": "mnemos bench kv", "methods": methods}
    (tmp_path / "kv" / "kv.json").write_text(json.dumps(text))
    entry = Entry("x", "activation", "forget", "Do.", (), Method)
    expected = "Measured: answers 75 % of `records` with 25 % of a full cache; random 50 % (`mnemos bench kv`)"
    assert Measurements(tmp_path).sentence(entry) == expected


def test_methods_of_one_name_are_all_shown():
    shown = CliRunner().invoke(app, ["methods", "bm25"])
    assert shown.exit_code == 0
    assert "mnemos.text.recall.bm25.Bm25" in shown.stdout
    assert "mnemos.text.systems.bm25.bm25" in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["methods", "bm25", "--json"]).stdout)
    assert [(m["operation"], m["kind"]) for m in found] == [("recall", "retriever"), ("systems", "system")]
    one = json.loads(CliRunner().invoke(app, ["methods", "hybrid", "--json"]).stdout)
    assert one["address"] == "mnemos.text.recall.hybrid.Hybrid"


def test_the_pages_need_all_forms(monkeypatch):
    monkeypatch.setattr(methods_page, "installed", lambda form: form != "activation")
    with pytest.raises(NotFound, match=r"the pages need the methods of activation: pip install 'mnemos-os\[torch\]'"):
        methods_page.pages(RESULTS)


def test_pages_of_operations_without_methods_are_removed_and_other_files_are_not(tmp_path):
    (tmp_path / "text-nothing.md").write_text(f"# Old\n{methods_page.MADE}\n")
    (tmp_path / "mine.md").write_text("# Mine\n")
    written = methods_page.write(RESULTS, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in written} | {"mine.md"}


def test_docs_methods_is_up_to_date():
    printed = CliRunner().invoke(app, ["methods", "--markdown", "--results", str(RESULTS)])
    pages = methods_page.pages(RESULTS)
    assert printed.stdout == "\n".join(pages.values())
    folder = HERE / "docs" / "methods"
    assert {p.name for p in folder.iterdir()} == pages.keys(), "run mnemos methods --markdown --out docs/methods"
    for name, text in pages.items():
        assert (folder / name).read_text(encoding="utf-8") == text, (
            f"{name}: run mnemos methods --markdown --out docs/methods"
        )
