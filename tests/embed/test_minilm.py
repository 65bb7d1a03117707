import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mnemos.embed.minilm import FOLDER, MiniLM
from mnemos.errors import EmbedderError

REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model():
    return MiniLM()


def test_vectors_are_those_of_the_full_precision_model(model):
    vectors = model.embed(REFERENCE["texts"])
    cosines = (vectors * np.array(REFERENCE["vectors"])).sum(axis=1)
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.97


def test_a_vector_does_not_depend_on_its_batch(model):
    texts = [t * n for t in REFERENCE["texts"] for n in (1, 3)]
    alone = np.vstack([model.embed([t]) for t in texts])
    assert model.embed(texts) == pytest.approx(alone, abs=1e-5)


def test_a_long_text_is_read_to_its_end(model):
    filler = "The committee discussed the budget of the harbour. " * 300
    plain, ending = model.embed([filler, filler + "Rhinoceros yoghurt. " * 100])
    query = model.embed(["rhinoceros yoghurt"])[0]
    assert ending @ query > plain @ query + 0.05


def test_a_text_just_over_one_window_is_close_to_its_halves(model):
    first, second = "Ana bakes bread. " * 40, "Bo repairs bicycles. " * 40
    whole, a, b = model.embed([first + second, first, second])
    assert whole @ (a + b) / np.linalg.norm(a + b) > 0.9


@pytest.mark.parametrize("text", ["", " ", "\0\x07", "\ud800 half a surrogate", "x" * 100_000, "語" * 3_000])
def test_any_text_gets_a_unit_vector(model, text):
    assert np.linalg.norm(model.embed([text])[0]) == pytest.approx(1, abs=1e-5)


def test_no_texts_give_no_vectors(model):
    assert model.embed([]).shape == (0, 384)


def test_progress_counts_every_text_once(model):
    seen = []
    model.embed([*REFERENCE["texts"], "long " * 600], progress=seen.append)
    assert sum(seen) == len(REFERENCE["texts"]) + 1


def test_threads_get_the_same_vectors(model):
    expected = model.embed(REFERENCE["texts"])
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.embed(REFERENCE["texts"]), range(4)):
            assert found == pytest.approx(expected, abs=1e-6)


def test_a_cached_vector_cannot_be_changed_by_who_got_it(model):
    first = model.embed(["a question"])
    expected = first.copy()
    first[:] = 0
    assert model.embed(["a question"]) == pytest.approx(expected)


def test_the_files_are_those_of_the_record():
    record = json.loads((FOLDER / "MODEL.json").read_text())
    for name in ("model.onnx", "tokenizer.json"):
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == record["sha256"][name]
    assert record["revision"] == "int8-6954cfaf2303"  # that of stored vectors: with another one all of them are stale


def test_the_states_of_tokens_come_with_the_same_vectors(model):
    long = "word " * 700
    texts, taken = [*REFERENCE["texts"], "I live in Z\u00fcrich.", "", long], []
    vectors = model.embed_tokens(texts, lambda i, tokens: taken.append((i, tokens)))
    assert vectors == pytest.approx(model.embed(texts), abs=1e-6)
    i = texts.index("I live in Z\u00fcrich.")
    [tokens] = [tokens for n, tokens in taken if n == i]
    assert tokens.states.shape == (len(tokens.spans), 768)
    assert [texts[i][a:b] for a, b in tokens.spans] == ["I", "live", "in", "Z\u00fcrich", "."]
    spans = [tuple(s) for n, t in taken if n == texts.index(long) for s in t.spans]
    assert {long[a:b] for a, b in spans} == {"word"}
    assert max(b for _, b in spans) == len(long) - 1


def test_a_missing_or_damaged_model_says_what_to_do(tmp_path):
    with pytest.raises(EmbedderError, match="Reinstall mnemos-os"):
        _ = MiniLM(tmp_path).name
    for name in ("MODEL.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(EmbedderError, match="Reinstall mnemos-os"):
        MiniLM(tmp_path).embed(["x"])
