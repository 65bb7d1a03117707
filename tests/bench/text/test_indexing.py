"""Generated entries in LongMemEval's format, and what is indexed of them."""

import json

from mnemos.bench.progress import SILENT
from mnemos.bench.text import indexing, longmemeval
from mnemos.bench.text.longmemeval_made import entries

MADE = entries(users=1, sessions=12, each=2)


def test_the_loader_of_the_published_format_reads_what_is_generated(tmp_path):
    path = tmp_path / "longmemeval_made.json"
    path.write_text(json.dumps(MADE), encoding="utf-8")
    haystacks = longmemeval.load(path).haystacks
    assert len(haystacks) == sum("_abs" not in entry["question_id"] for entry in MADE)
    by_id = {entry["question_id"]: entry for entry in MADE}
    for haystack in haystacks:
        entry = by_id[haystack.name]
        if entry["question_type"] != "single-session-assistant":  # the protocol has no gold for these
            assert set(haystack.questions[0].gold["session"]) == set(entry["answer_session_ids"])


def test_every_type_is_there_and_the_evidence_says_the_answer():
    kinds = {entry["question_type"] for entry in MADE}
    assert kinds == {"knowledge-update", "multi-session", "single-session-assistant", "single-session-preference",
                     "single-session-user", "temporal-reasoning"}  # fmt: skip
    for entry in MADE:
        told = [t["content"] for s in entry["haystack_sessions"] for t in s if t["has_answer"]]
        assert bool(told) == ("_abs" not in entry["question_id"])
        if entry["question_type"] in ("temporal-reasoning", "knowledge-update"):
            assert entry["answer"] in told[-1]


def test_facts_make_the_keys_of_rounds_find_more_than_whole_sessions():
    options = indexing.Options(users=2, sessions=20, methods=("words",), embedder="none")
    recall = indexing.run(options, SILENT)["recall"]
    assert recall["rounds and facts; words"]["all"] > recall["sessions; words"]["all"]


def test_a_published_file_is_measured_as_the_generated_one(tmp_path):
    path = tmp_path / "longmemeval_made.json"
    path.write_text(json.dumps(MADE), encoding="utf-8")
    options = {"users": 1, "sessions": 12, "each": 2, "methods": ("words",), "embedder": "none"}
    made = indexing.run(indexing.Options(**options), SILENT)
    read = indexing.run(indexing.Options(**options, data=path), SILENT)
    assert read | {"source": "generated"} == made
    assert read["source"] == "longmemeval_made.json"


def test_a_key_of_facts_is_the_round_and_what_it_states():
    documents = indexing.documents(MADE[0], "rounds and facts")
    plain = indexing.documents(MADE[0], "rounds")
    assert [d["id"] for d in documents] == [d["id"] for d in plain]
    assert all(d["content"].startswith(p["content"]) for d, p in zip(documents, plain, strict=True))
    assert documents != plain
