"""The commands on the life of memories, as a user types them."""

import json

import pytest
from typer.testing import CliRunner

from mnemos.cli import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMOS_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("MNEMOS_EMBEDDER", "hashing")
    monkeypatch.delenv("MNEMOS_SPACE", raising=False)

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        return result.stdout

    return call


@pytest.fixture
def told(run):
    for text in ("I live in Porto.", "I work at Bosch.", "I moved to Faro."):
        run("add", text, "--speaker", "Ana")
    return run


def test_facts_show_what_holds_and_what_held(told):
    rows = json.loads(told("facts", "Ana", "--json"))
    assert [(r["attribute"], r["value"], r["valid_to"]) for r in rows] == [
        ("work at", "Bosch", None), ("live in", "Faro", None),
    ]  # fmt: skip
    past = json.loads(told("facts", "ana", "-a", "live in", "--include-ended", "--json"))
    assert [r["value"] for r in past] == ["Porto", "Faro"]
    assert "Faro" in told("facts")
    assert "no facts are known" in told("facts", "nobody")


def test_the_change_comes_first(told):
    assert json.loads(told("search", "Where does Ana live?", "--json"))[0]["cube"]["text"] == "I moved to Faro."


def test_consolidating_twice_does_nothing_the_second_time(told):
    first = json.loads(told("consolidate", "--json"))
    assert first["changed"]
    assert first["written"]["profile"] == 1
    assert not json.loads(told("consolidate", "--json"))["changed"]
    assert "Nothing new" in told("consolidate")
    assert "live in: Faro" in told("list", "--kind", "profile")


def test_a_policy_is_set_shown_and_applied(told):
    told("policy", "--law", "fifo", "--set", "cubes=1")
    assert json.loads(told("policy", "--json"))["cubes"] == 1
    assert len(json.loads(told("policy", "--preview", "--json"))["archived"]) == 1  # one is superseded already
    assert json.loads(told("consolidate", "--json"))["forgotten"]["archived"]
    told("policy", "--set", "cubes=null")
    assert json.loads(told("policy", "--json"))["cubes"] is None
    told("policy", "--law", "nothing", code=1)
    told("policy", "--set", "x=1", code=1)


def test_pinning_and_archiving(told):
    cube = json.loads(told("list", "--json"))["items"][0]["id"]
    assert json.loads(told("pin", cube, "--json")) == {"id": cube, "pinned": True}
    assert json.loads(told("archive", cube, "--json")) == {"changed": [cube]}
    told("archive", cube, code=1)
    assert json.loads(told("unarchive", cube, "--json")) == {"changed": [cube]}
    told("unarchive", cube, code=1)
    assert json.loads(told("unpin", cube, "--json")) == {"id": cube, "pinned": False}
    told("pin", "nobody", code=1)


def test_rollback(told):
    cube = json.loads(told("add", "The Atlas deadline is May 3.", "--json"))["id"]
    told("update", cube, "The Atlas deadline is June 9.")
    assert json.loads(told("rollback", cube, 1, "--json"))["text"] == "The Atlas deadline is May 3."
    told("rollback", cube, 9, code=1)


def test_the_audit_log_is_shown_and_verified(told):
    rows = json.loads(told("audit", "log", "--json"))
    assert [r["action"] for r in rows] == ["add"] * 3
    assert "the chain is whole" in told("audit", "verify", "--head", rows[0]["chain"])
    told("audit", "verify", "--head", "00", code=1)
