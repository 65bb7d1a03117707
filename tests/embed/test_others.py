"""The other embedders: hashing, sentence-transformers (a stand-in), and an endpoint served here."""

import json
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.embed import load
from mnemos.embed.hashing import HashingEmbedder
from mnemos.errors import EmbedderError, InvalidInput


@pytest.mark.parametrize("spec", ["unknown", "hashing:x", "st:", "openai:model", "openai:m@ftp://x", 7, object()])
def test_an_unknown_spec_lists_those_there_are(spec):
    with pytest.raises(InvalidInput, match=r"bundled|openai:MODEL"):
        load(spec)


def test_specs():
    assert load("none") is None
    assert load(None).name == load("bundled").name == "all-MiniLM-L6-v2"
    assert load("hashing:64").dimension == 64
    mine = HashingEmbedder()
    assert load(mine) is mine


@given(st.lists(st.text(), max_size=4))
def test_hashing_gives_unit_vectors_or_zeros_and_always_the_same(texts):
    vectors = HashingEmbedder(64).embed(texts)
    norms = np.linalg.norm(vectors, axis=1)
    assert np.all((abs(norms - 1) < 1e-5) | (norms == 0))
    assert np.array_equal(vectors, HashingEmbedder(64).embed(texts))


def test_hashing_finds_a_misspelled_word():
    right, wrong, other = HashingEmbedder().embed(["elephant", "elefant", "bicycle"])
    assert right @ wrong > right @ other + 0.2


def test_sentence_transformers_models_are_used_as_they_are(monkeypatch):
    class Model:
        def __init__(self, name, revision):
            assert (name, revision) == ("some/model", "main")

        def get_sentence_embedding_dimension(self):
            return 2

        def encode(self, texts, show_progress_bar):
            return [[3.0, 4.0 * len(t)] for t in texts]

    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Model))
    embedder, seen = load("st:some/model"), []
    assert embedder.embed(["a"] * 70, progress=seen.append)[69] == pytest.approx([0.6, 0.8])
    assert (sum(seen), embedder.dimension, embedder.embed([]).shape) == (70, 2, (0, 2))


def test_without_sentence_transformers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbedderError, match="pip install sentence-transformers"):
        load("st:some/model").embed(["x"])


class Endpoint(BaseHTTPRequestHandler):
    """Answers [length, 1, 0...] in reverse order; `plan` holds the statuses of the next answers."""

    plan: list[int] = []
    seen: list[dict] = []
    dimension = 3

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Endpoint.seen.append({**body, "key": self.headers.get("Authorization")})
        status = Endpoint.plan.pop(0) if Endpoint.plan else 200
        rows = [
            {"index": i, "embedding": [len(t), 1.0] + [0.0] * (Endpoint.dimension - 2)}
            for i, t in enumerate(body["input"])
        ]
        data = json.dumps({"data": rows[::-1]} if status == 200 else {"error": "no"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("MNEMOS_EMBED_KEY", "secret-key")
    monkeypatch.setattr("mnemos.embed.endpoint.time.sleep", lambda seconds: None)
    Endpoint.plan, Endpoint.seen, Endpoint.dimension = [], [], 3
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"openai:m@http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_gets_batches_and_its_rows_are_put_in_order(endpoint):
    texts = ["x" * n for n in range(1, 140)]
    embedder = load(endpoint)
    vectors = embedder.embed(texts)
    assert vectors[:, 0] / vectors[:, 1] == pytest.approx(range(1, 140), rel=1e-4)
    assert [len(s["input"]) for s in Endpoint.seen] == [128, 11]
    assert {s["key"] for s in Endpoint.seen} == {"Bearer secret-key"}
    assert embedder.dimension == 3


def test_a_failing_endpoint_is_tried_again_and_then_named_without_the_key(endpoint):
    Endpoint.plan = [500, 429]
    assert load(endpoint).embed(["x"]).shape == (1, 3)
    Endpoint.plan = [503] * 4
    with pytest.raises(EmbedderError, match="503") as raised:
        load(endpoint).embed(["x"])
    assert "secret-key" not in str(raised.value)
    Endpoint.plan, Endpoint.seen = [401], []
    with pytest.raises(EmbedderError, match="401"):
        load(endpoint).embed(["x"])
    assert len(Endpoint.seen) == 1, "a refusal is not tried again"


def test_a_changed_model_behind_an_endpoint_is_noticed(endpoint):
    embedder = load(endpoint)
    embedder.embed(["x"])
    Endpoint.dimension = 4
    with pytest.raises(EmbedderError, match="Did the model behind the endpoint change"):
        embedder.embed(["x"])


def test_nobody_listening_is_an_embedder_error(monkeypatch):
    monkeypatch.setattr("mnemos.embed.endpoint.time.sleep", lambda seconds: None)
    with pytest.raises(EmbedderError, match="cannot be used"):
        load("openai:m@http://127.0.0.1:9/v1").embed(["x"])
