"""The command line as a user types it: through the app, words only unless vectors are the point."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mnemos.cli import app
from mnemos.cli.document import commands, render
from mnemos.registry import all_entries
from mnemos.text.recall.filters import Filters


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("MNEMOS_EMBEDDER", "none")
    monkeypatch.delenv("MNEMOS_SPACE", raising=False)

    def call(*arguments, code=0, **options):
        result = CliRunner().invoke(app, list(map(str, arguments)), **options)
        assert result.exit_code == code, result.output
        return result

    return call


def data(result):
    return json.loads(result.stdout)


def test_what_is_added_is_found_shown_updated_and_deleted(run):
    cube = data(
        run("add", "I moved to Lisbon last May.", "--speaker", "Ana", "--at", "2024-03-02", "-m", "n=5", "--json")
    )
    assert (cube["speaker"], cube["at"], cube["metadata"]) == ("Ana", "2024-03-02T00:00:00+00:00", {"n": 5})
    found = run("search", "Who moved to Lisbon?", "--why").stdout
    assert "I moved to Lisbon last May." in found
    assert "cover" in found
    hit = data(run("search", "Lisbon", "--json"))[0]
    assert hit["cube"]["id"] == cube["id"]
    assert hit["score"] == pytest.approx(sum(hit["why"].values()))
    assert data(run("search", "Lisbon", "--where", "n=6", "--json")) == []
    assert "last May. [2023-05-01 to 2023-05-31]" in run("context", "Lisbon").stdout
    assert "Lisbon" in run("show", cube["id"]).stdout
    run("update", cube["id"], "I moved to Porto.")
    assert [v["text"] for v in data(run("history", cube["id"], "--json"))] == [
        "I moved to Lisbon last May.",
        "I moved to Porto.",
    ]
    assert data(run("stats", "--json"))["versions"] == 2
    assert data(run("delete", cube["id"], "--yes", "--json")) == {"removed": [cube["id"]]}
    assert data(run("list", "--json"))["items"] == []


def test_an_empty_space_or_root_is_refused_and_not_the_default(run):
    for option in ("--space", "--root"):
        for arguments in ((option, "", "add", "for nobody"), ("add", "for nobody", option, " ")):
            assert "empty" in run(*arguments, code=2).output
    run("list", code=1)  # nothing was written


def test_python_runs_the_module_as_the_command():
    done = subprocess.run([sys.executable, "-m", "mnemos", "--version"], capture_output=True, text=True, check=True)
    assert "mnemos" in done.stdout.lower()


def test_nothing_is_deleted_without_a_yes(run):
    cube = data(run("add", "keep me", "--json"))
    run("delete", cube["id"], code=1, input="n\n")
    run("delete", cube["id"], "--json", code=1)
    assert len(data(run("list", "--json"))["items"]) == 1


def test_text_comes_from_standard_input_too(run):
    run("add", "-", input="two\nlines\n")
    assert data(run("list", "--json"))["items"][0]["text"] == "two\nlines"


def test_import_export_reindex_doctor(run, tmp_path):
    chat = tmp_path / "chat.json"
    chat.write_text('[{"role": "user", "content": "one"}, {"role": "user", "content": 2}]')
    assert "1 added" in run("import", chat, "-s", "a").stdout
    assert data(run("import", chat, "-s", "a", "--json"))["skipped"] == 1
    assert run("import", chat, "-s", "a").stdout.count("chat.json[1]") == 1
    for kind, name in (("archive", "a.zip"), ("jsonl", "a.jsonl"), ("markdown", "notes")):
        assert data(run("export", tmp_path / name, "--format", kind, "-s", "a", "--json"))["cubes"] == 1
    assert data(run("import", tmp_path / "a.zip", "-s", "b", "--json"))["added"] == 1
    assert data(run("reindex", "-s", "b", "--embedder", "hashing", "--json"))["computed"] == 1
    assert data(run("doctor", "--all", "--json"))[0]["healthy"]
    assert {s["space"] for s in data(run("spaces", "--json"))} == {"a", "b"}


def test_options_may_stand_before_or_after_the_command(run):
    run("--space", "s", "add", "here")
    assert data(run("list", "--space", "s", "--json"))["items"][0]["text"] == "here"
    assert data(run("--json", "--space", "s", "list"))["items"][0]["text"] == "here"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "x", "--space", "nobody"], "there is no space 'nobody'"),
        (["show", "x"], "there is no space 'default'"),
        (["add", "x", "--at", "someday"], "not a time"),
        (["import", "nowhere.json"], "does not exist"),
        (["bench", "locomo", "--data", "nowhere.json"], "nowhere.json"),
        (["add", "x", "--embedder", "magic"], "unknown embedder"),
    ],
)
def test_errors_are_one_line_and_exit_code_1(run, arguments, message):
    result = run(*arguments, code=1)
    assert message in result.stderr
    assert "Traceback" not in result.output
    as_json = json.loads(run(*arguments, "--json", code=1).stderr.strip().splitlines()[-1])
    assert message in as_json["error"]


def test_stored_text_cannot_drive_the_terminal_or_be_read_as_markup(run):
    evil = "\x1b[2J[red]boo[/red] \u202eabc :smile:"
    run("add", evil)
    for command in (["list"], ["search", "boo"], ["context", "boo"]):
        shown = run(*command).stdout
        assert "\x1b[2J" not in shown
        assert "\u202e" not in shown
        # a prompt is without them
        assert (
            "[2J[red]boo[/red] abc :smile:" if command[0] == "context" else "\\x1b[2J[red]boo[/red] \\u202eabc :smile:"
        ) in shown
    assert data(run("list", "--json"))["items"][0]["text"] == evil


def test_methods_are_listed_with_their_papers_and_each_address_exists(run):
    listed = data(run("methods", "--json"))
    assert {"bm25", "cosine", "hybrid", "dates", "context"} <= {m["name"] for m in listed}
    assert len(listed) == len(all_entries())
    papers = {p["title"]: p["arxiv"] for m in listed for p in m["papers"]}
    assert papers["Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks"] == "1908.10084"
    for m in listed:
        module, _, name = m["address"].rpartition(".")
        assert hasattr(sys.modules[module], name)


def test_the_demo_answers_every_question_rightly(run):
    result = data(run("demo", "--embedder", "bundled", "--json"))
    for answer in result["answers"]:
        assert answer["cube"]["id"] == answer["expected"], answer["question"]
    assert result["context"].startswith("<memory-")


def test_the_demo_can_be_kept_asked_again_and_drawn(run, tmp_path):
    run("demo", "--keep", tmp_path / "kept", "--svg", tmp_path / "demo.svg")
    assert "<svg" in (tmp_path / "demo.svg").read_text(encoding="utf-8")
    again = data(run("demo", "--keep", tmp_path / "kept", "--json"))
    assert again["messages"] == data(run("stats", "--root", tmp_path / "kept", "-s", "demo", "--json"))["cubes"]


def test_the_page_of_the_commands_is_current():
    from pathlib import Path

    page = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
    assert page.read_text(encoding="utf-8") == render(), "run python -m mnemos.cli.document > docs/reference/cli.md"


def test_a_reader_that_goes_away_is_no_error(run, tmp_path):
    run("add", "x")
    code = "import sys; sys.argv = ['mnemos', 'list', '--json']; from mnemos.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert not re.search(rb"Traceback|Exception", process.stderr.read())
    process.stderr.close()
    process.wait()


def test_a_benchmark_writes_its_result_and_tells_its_command(run, tmp_path, monkeypatch):
    turns = [
        {"speaker": "Ana", "dia_id": f"D1:{i}", "text": text} for i, text in enumerate(("I sold the car.", "It rains."))
    ]
    sample = {
        "sample_id": "conv-26",
        "conversation": {"session_1": turns, "session_1_date_time": "1:56 pm on 8 May, 2023"},
        "qa": [{"question": "What was sold?", "answer": "a car", "evidence": ["D1:0"], "category": 4}],
    }
    (tmp_path / "locomo10.json").write_text(json.dumps([sample]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run("bench", "locomo", "--data", "locomo10.json", "--embedder", "bundled")
    result = json.loads((tmp_path / "benchmarks" / "results" / "text" / "locomo.json").read_text(encoding="utf-8"))
    assert result["command"] == "mnemos bench locomo --data locomo10.json"
    assert result["systems"]["mnemos"]["turn"]["splits"]["all"]["fraction@10"] == 1
    assert (
        "1.000" in run("bench", "locomo", "--data", "locomo10.json", "--embedder", "none", "--systems", "bm25").stdout
    )


def test_forgetting_shows_asks_proves_and_gives_a_receipt(run, tmp_path):
    run("add", "My sister Rita lives here")
    run("add", "Something else")
    assert "Rita" in run("forget", "--query", "Rita", "--preview").stdout
    run("forget", "--query", "Rita", code=1, input="n\n")
    run("forget", code=1)
    run("forget", "--query", "Rita", "--json", code=1)
    shown = data(run("forget", "--query", "else", "--preview", "--json"))
    assert ([c["text"] for c in shown["cubes"]], shown["offers"]) == (["Something else"], [])
    assert "inside a longer word" in run("forget", "--query", "Rit", "--preview").stdout
    refused = run("forget", "--query", "Rit", "--yes", code=1)
    assert "My sister Rita" in refused.stderr
    assert "matches exactly; nothing was erased" in refused.stderr
    for nothing in (["--state", "any"], ["--as-of", "2100-01-01"], ["--include-superseded"],
                    ["--session", ""], ["--include-derived"], ["--state", "active"]):  # fmt: skip
        assert (
            "chooses nothing" in (refused := run("forget", *nothing, "--yes", code=1).output) or "was chosen" in refused
        )
    assert len(data(run("list", "--json"))["items"]) == 2
    assert "no remains found" in run("forget", "--query", "Rita", "--yes", "--receipt", tmp_path / "r.json").stdout
    assert "no remains of the 1 cubes were found" in run("verify-erasure", tmp_path / "r.json").stdout
    assert [c["text"] for c in data(run("list", "--json"))["items"]] == ["Something else"]


def test_every_filter_of_the_verbs_is_an_option_of_the_commands_that_filter():
    names = {"--" + name.replace("_", "-") for name in Filters.__annotations__}
    options = {path: {o for p in command.params for o in p.opts} for path, command in commands()}
    for command in ("search", "context", "list", "forget"):
        assert names <= options[f"mnemos {command}"]
    others = {path for path, given in options.items() if "--include-derived" in given}
    assert others == {"mnemos search", "mnemos context", "mnemos list", "mnemos forget"}


@pytest.mark.parametrize(
    "arguments",
    [["add", "caf\udce9"], ["add", "a\0b"], ["add", "x", "--speaker", "\udcff"], ["add", "x", "--meta", "k=\udcff"]],
)
def test_bytes_that_are_no_text_are_refused_and_nothing_is_stored(run, arguments):
    result = run(*arguments, "--space", "bytes", code=1)
    assert "not text in UTF-8" in result.stderr
    run("list", "--space", "bytes", code=1)
