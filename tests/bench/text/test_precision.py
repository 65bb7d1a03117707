"""PrecisionMemBench's beliefs, cases and arithmetic, on small files in its format."""

import json

import pytest

from mnemos import Mnemos
from mnemos.bench.text import precision
from mnemos.errors import InvalidInput


def belief(name, content, **extra):
    return {
        "_id": name, "user_id": "test-user", "type": "entity", "canonical_name": name, "aliases": [], "content": content,
        "why_it_matters": "", "scope": ["domain:code"], "pinned": False, "superseded_by": None, "resolved_at": None,
        "created_at": "2026-09-01T00:00:00Z", **extra,
    }  # fmt: skip


BELIEFS = [
    belief("redis", "Redis is the cache."),
    belief("redis-novel", "Redis is a character.", scope=["domain:writing"]),
    belief("old-db", "Postgres is the database.", superseded_by="db"),
    belief("db", "Mongo is the database.", pinned=True),
    belief("auth", "Which tokens?", type="open_question"),
    belief("auth-redis", "Sessions are in Redis.", type="relation", participants=["redis", "auth", "db"]),
    belief("secret", "Redis is secret.", user_id="other-user"),
]


def case(name, query, *right, scope=("domain:code",), **extra):
    expect = {"relevantBeliefs": {"shouldOnlyInclude": list(right)}}
    return {"caseId": name, "category": "x", "scope": list(scope), "query": query, "expect": expect, **extra}


@pytest.fixture
def data(tmp_path):
    cases = [
        case("one", "What is Redis?", "redis"),
        case("empty", "  "),
        case("stranger", "Redis", userId="nobody"),
        {"caseId": "none", "category": "x", "scope": ["domain:code"], "query": "q", "expect": {}},
    ]
    (tmp_path / "beliefs.seed.json").write_text(json.dumps(BELIEFS), encoding="utf-8")
    (tmp_path / "retrieval.cases.json").write_text(json.dumps(cases), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("setting", "found"),
    [("texts", {"redis", "old-db", "auth", "auth-redis"}), ("states", {"redis", "auth-redis"})],
)
def test_a_search_is_of_the_scope_and_the_user_and_leaves_what_is_pinned_out(data, tmp_path, setting, found):
    beliefs, cases = precision.load(data)
    with Mnemos(tmp_path / "root", embedder="hashing") as memory:
        run = precision.Run(memory, beliefs, setting)
        assert {name for name, _ in run.ranked(cases[0], "vectors")} == found
        assert run.ranked(cases[1], "mnemos") == run.ranked(cases[2], "mnemos") == []


def test_a_relation_brings_its_participants_but_no_question_and_nothing_pinned(data, tmp_path):
    beliefs, cases = precision.load(data)
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        run = precision.Run(memory, beliefs, "states")
        assert run.returned(cases[0], [("auth-redis", 0.9), ("old-db", 0.2)], 0.5) == ["auth-redis", "redis"]


def test_precision_is_0_where_nothing_should_be_returned_and_left_out_where_nothing_is(data):
    _, (one, empty, stranger, none) = precision.load(data)
    every = [one, empty, stranger, none]
    assert precision.scored(every, [["redis", "x"], [], ["x"], ["x"]]) == {
        "precision": 0.25, "recall": 1.0, "exact": 1, "cases": 3,
    }  # fmt: skip
    assert precision.scored([one], [[]]) == {"precision": 0.0, "recall": 0.0, "exact": 0, "cases": 1}


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"beliefs\.seed\.json"):
        precision.load(tmp_path)
