"""LitSearch's format, SciFact in its place, and the slice."""

import json

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import litsearch
from mnemos.errors import InvalidInput


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    topics = ("parsing", "speech", "translation", "summaries", "dialogue", "retrieval")
    papers = [{"corpusid": 100 + i, "title": f"On {t}", "abstract": f"We study {t}."} for i, t in enumerate(topics)]
    write(tmp_path / "corpus_clean.jsonl", [*papers, {"corpusid": 999, "title": "No abstract", "abstract": None}])
    write(tmp_path / "query.jsonl", [
        {"query": "Which paper is on translation?", "specificity": 1, "quality": 2, "corpusids": [102]},
        {"query": "Works on dialogue or speech", "specificity": 0, "quality": 1, "corpusids": [104, 101]},
    ])  # fmt: skip
    return tmp_path


def test_papers_questions_and_what_answers_them_are_read(folder):
    haystack = litsearch.load(folder).haystacks[0]
    assert [q.category for q in haystack.questions] == ["specific", "broad"]
    assert haystack.questions[1].gold["paper"] == ("104", "101")
    assert haystack.messages[-1] == {"id": "999", "content": "No abstract"}


def test_words_find_the_papers(folder):
    found = litsearch.run(litsearch.Options(folder, methods=("words", "hybrid"), embedder="none"), SILENT)
    for kinds in found["methods"].values():
        assert {kind: (row["n"], row["recall@20"]) for kind, row in kinds.items()} == {
            "specific": (1, 1),
            "broad": (1, 1),
        }
    assert found["data"]["papers"] == 7


def test_a_slice_has_the_papers_that_answer_and_the_same_others_each_time(folder):
    task = litsearch.load(folder)
    small = litsearch.sliced(task, 5, 2, 0)
    ids = {m["id"] for m in small.messages}
    assert {"101", "102", "104"} < ids
    assert len(ids) == 5
    assert litsearch.sliced(task, 5, 2, 0) == small
    assert len(litsearch.sliced(task, None, None, 0).messages) == 7
    assert len(litsearch.sliced(task, 5, 1, 0).questions) == 1


def test_scifact_stands_in(tmp_path):
    write(tmp_path / "corpus.jsonl", [{"_id": str(i), "title": f"T{i}", "text": f"Abstract {i}."} for i in range(3)])
    write(tmp_path / "queries.jsonl", [{"_id": "7", "text": "Claim."}])
    for name in ("train", "test"):
        (tmp_path / f"qrels_{name}.tsv").write_text("query-id\tcorpus-id\tscore\n7\t2\t1\n", encoding="utf-8")
    task = litsearch.load(tmp_path)
    assert task.name == "scifact"
    assert task.haystacks[0].questions[0].gold == {"paper": ("2",)}


def test_another_format_is_refused(tmp_path):
    write(tmp_path / "query.jsonl", [{"question": "?"}])
    with pytest.raises(InvalidInput, match="not LitSearch"):
        litsearch.load(tmp_path)
