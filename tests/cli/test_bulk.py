"""Bulk commands: with workers the same is stored as without; a repeated run changes nothing; one bad space costs no other."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mnemos import Mnemos
from mnemos.bulk import Opening, spread
from mnemos.cli import app
from mnemos.embed.hashing import HashingEmbedder
from mnemos.errors import EmbedderError, InvalidInput, StaleVectors
from mnemos.store.values import Filter
from mnemos.tasks import INLINE, load_workers

TEXTS = [{"content": f"On May {i % 28 + 1} Ana met number {i} in Porto.", "at": "2024-01-01"} for i in range(600)]


class Failing(HashingEmbedder):
    def embed(self, texts, *, progress=None):
        raise EmbedderError("the endpoint is down.")


@pytest.fixture(scope="module")
def two():
    with load_workers(2) as workers:
        yield workers


def vectors(space):
    keys = [key for key, _ in space.store.select(Filter(), limit=10_000)]
    return {key: v.tobytes() for key, v in space.store.vectors.of(space.text.model_key(), keys).items()}


def run(root, *arguments, code=0):
    result = CliRunner().invoke(app, [*map(str, arguments), "--root", str(root)])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_reindexing_by_workers_stores_the_same_vectors(tmp_path, two):
    found = []
    for name, workers in (("inline", INLINE), ("two", two)):
        with Mnemos(tmp_path / name, embedder="none") as memory:
            memory.space("s").add_many(TEXTS)
        with Mnemos(tmp_path / name, embedder="hashing:32") as memory:
            seen = []
            assert memory.space("s").reindex(seen.append, workers) == sum(seen) == 600
            assert memory.space("s").reindex(workers=workers) == 0
            found.append(vectors(memory.space("s")))
    assert found[0] == found[1]
    assert len(found[0]) == 600


def test_an_import_by_workers_stores_the_same_and_twice_changes_nothing(tmp_path, two):
    found = []
    for name, workers in (("inline", INLINE), ("two", two)):
        with Mnemos(tmp_path / name, embedder="hashing:32") as memory:
            space = memory.space("s")
            spread(space, workers)
            seen = []
            space.add_many(TEXTS, progress=seen.append)
            assert sum(seen) == 600
            space.add_many(TEXTS)
            assert space.count() == 600
            assert space.doctor().healthy
            cubes = [(c.text, c.at, c.speaker) for c in space.cubes()]
            found.append((cubes, vectors(space), [f.value for f in space.facts()]))
    assert found[0] == found[1]


def test_an_embedder_that_fails_in_workers_loses_no_text(tmp_path, two):
    with Mnemos(tmp_path, embedder=Failing(8)) as memory:
        spread(memory.space("s"), two)
        with pytest.warns(StaleVectors, match=r"600 texts.*mnemos reindex"):
            memory.space("s").add_many(TEXTS)
        assert memory.space("s").count() == 600


def test_all_spaces_are_worked_on_by_workers_and_a_damaged_one_is_named(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        for name in ("ana", "bo", "cy"):
            memory.space(name).add_many([{**text, "session": f"s{i % 3}"} for i, text in enumerate(TEXTS[:30])])
    both = run(tmp_path, "reindex", "--all-spaces", "--workers", 2, "--embedder", "hashing:16", "--json")
    assert both == [{"space": name, "computed": 30} for name in ("ana", "bo", "cy")]
    again = run(tmp_path, "reindex", "--all-spaces", "--embedder", "hashing:16", "--json")
    assert {each["computed"] for each in again} == {0}
    done = run(tmp_path, "consolidate", "--all-spaces", "--workers", 2, "--embedder", "none", "--json")
    assert [each["space"] for each in done] == ["ana", "bo", "cy"]
    assert all(each["changed"] for each in done)
    again = run(tmp_path, "consolidate", "--all-spaces", "--embedder", "none", "--json")
    assert not any(each["changed"] for each in again)
    with Mnemos(tmp_path, embedder="none") as memory:
        file = memory.space("bo").store.stats()["path"]
    Path(file).write_bytes(b"\xff" * 8192)
    result = CliRunner().invoke(app, ["consolidate", "--all-spaces", "--root", str(tmp_path), "--json"])
    assert result.exit_code == 1
    assert [each["space"] for each in json.loads(result.stdout)] == ["ana", "cy"]
    assert "bo" in result.stderr


def test_a_worker_opens_the_root_as_it_was_opened(tmp_path):
    with Mnemos(
        tmp_path / "root", embedder="hashing:8", timezone="Asia/Tokyo", actor="nightly", blobs=str(tmp_path / "blobs")
    ) as memory:
        opening = Opening.of(memory)
    with opening.memory() as again:
        for name in ("root", "timezone", "actor", "blobs"):
            assert getattr(again, name) == getattr(memory, name)
        assert (again.embedder.name, again.embedder.revision) == (memory.embedder.name, memory.embedder.revision)


def test_what_cannot_be_spread_is_said(tmp_path):
    with pytest.raises(InvalidInput, match="finds no folder"):
        Opening(tmp_path / "elsewhere").memory()
    assert not (tmp_path / "elsewhere").exists()
    for arguments, problem in (
        (["consolidate", "--workers", "2"], "need --all-spaces"),
        (["reindex", "--all-spaces", "-s", "x", "--embedder", "hashing"], "Leave one of them out"),
    ):
        result = CliRunner().invoke(app, [*arguments, "--root", str(tmp_path)])
        assert result.exit_code == 1
        assert problem in result.stderr


def test_a_sweep_runs_each_value_once(tmp_path):
    arguments = ["bench", "sweep", "erasure", "seed", "3", "4", "--set", "cases=2", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    files = json.loads(result.stdout)
    assert [Path(file).name for file in files] == ["erasure-seed-3.json", "erasure-seed-4.json"]
    results = [json.loads(Path(file).read_text()) for file in files]
    assert [result["command"] for result in results] == [f"mnemos bench erasure --seed {n} --cases 2" for n in (3, 4)]
    CliRunner().invoke(app, arguments)
    assert [json.loads(Path(file).read_text()) for file in files] == results, "what is there is kept"
