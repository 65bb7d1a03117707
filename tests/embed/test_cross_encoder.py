"""The cross-encoder: what answers is likelier than what only comes near, and the graph computes what it says."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mnemos.embed.cross_encoder import FILE, QUESTION, RECORD, TEXT, CrossEncoder, cross_encoder, pack
from mnemos.embed.minilm import FOLDER
from mnemos.errors import EmbedderError

TEXTS = ["My vet is Dr. Moura, near the market.", "I moved to Lisbon last May.", "", "word " * 300, "Rita has a dog."]


@pytest.mark.parametrize(
    ("question", "answers", "near"),
    [
        ("Who is my dentist?", "My dentist is Dr. Patel.", "My vet is Dr. Moura, near the market."),
        ("When does the bakery open?", "The bakery opens at seven.", "The bakery is on Mill Lane."),
        ("What is Ruby's cat called?", "Ruby's cat is called Tofu.", "Ruby's allergic to cats."),
        ("Where does Jonas work?", "Jonas has started at the post office.", "Jonas lives behind the post office."),
        ("How old is Lena?", "Lena turned nine on Sunday.", "Lena has a new bike."),
    ],
)
def test_what_answers_is_likelier_than_what_comes_near(question, answers, near):
    likely, unlikely = cross_encoder().log_odds(question, [answers, near])
    assert likely > unlikely


def test_a_text_is_judged_alike_in_any_batch_and_order():
    texts = TEXTS * 5
    together = cross_encoder().log_odds("Where do I live?", texts)
    assert together == pytest.approx(np.tile(together[: len(TEXTS)], 5), abs=1e-4)
    alone = [float(cross_encoder().log_odds("Where do I live?", [text])[0]) for text in TEXTS]
    assert together[: len(TEXTS)] == pytest.approx(alone, abs=1e-4)
    assert cross_encoder().log_odds("Where do I live?", []).shape == (0,)


def test_threads_get_the_same():
    reader = CrossEncoder()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: reader.log_odds("Who has a dog?", TEXTS), range(4)))
    assert all(one == pytest.approx(found[0]) for one in found)


def test_pairs_are_packed_with_their_marks_types_and_mask():
    ids, types, mask = pack([([5, 6], [7]), ([8], [])])
    assert ids.tolist() == [[101, 5, 6, 102, 7, 102], [101, 8, 102, 102, 0, 0]]
    assert types.tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0]]
    assert mask.tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    assert pack([([1] * 500, [2] * 500)])[0].shape == (1, QUESTION + TEXT + 3)


def test_the_file_is_that_of_the_record_and_refers_to_the_embedder_that_is_there():
    record = json.loads((FOLDER / RECORD).read_text(encoding="utf-8"))
    for name in (FILE, "model.onnx"):
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == record["sha256"][name]


def test_a_missing_or_damaged_model_says_what_to_do(tmp_path):
    with pytest.raises(EmbedderError, match="Reinstall mnemos-os"):
        CrossEncoder(tmp_path).log_odds("x", ["y"])
    (tmp_path / "tokenizer.json").write_bytes((FOLDER / "tokenizer.json").read_bytes())
    (tmp_path / FILE).write_bytes((FOLDER / FILE).read_bytes())  # without the weights that it refers to
    with pytest.raises(EmbedderError, match="Reinstall mnemos-os"):
        CrossEncoder(tmp_path).log_odds("x", ["y"])


def test_the_graph_computes_the_layers_with_their_updates(tmp_path):
    onnxruntime, onnx_graph = pytest.importorskip("onnxruntime"), pytest.importorskip("mnemos.embed.onnx_graph")
    torch = pytest.importorskip("torch")
    from mnemos.embed.weights import Shape

    rng, shape = np.random.default_rng(0), Shape("small", layers=2, heads=2, width=16, positions=12)
    made = _weights(rng, shape)
    graph = onnx_graph.build_pair_reader(shape, made, quantised=False)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    ids, types, mask = pack([([5, 6, 7], [8, 9]), ([3], [4])], start=1, end=2)
    found = session.run(["log_odds"], {"ids": ids, "types": types, "mask": mask})[0]
    w = {name: torch.tensor(value) for name, value in made.items()}
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = _norm(torch, w, "embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][types])
    for n in range(shape.layers):
        x = _layer(torch, w, f"encoder.layer.{n}.", x, torch.tensor(mask), shape.heads)
    pooled = torch.tanh(x[:, 0] @ w["pool.weight"].T + w["pool.bias"])
    expected = (pooled @ w["out.weight"].T + w["out.bias"])[:, 0].numpy()
    assert found == pytest.approx(expected, abs=0.01)  # the updates are kept in 16 bits
    assert abs(expected[0] - expected[1]) > 0.1


def _weights(rng, shape):
    d, names = shape.width, {"words": 10, "positions": shape.positions}
    made = {
        "embeddings.word_embeddings.weight": rng.normal(size=(names["words"], d)),
        "embeddings.position_embeddings.weight": rng.normal(size=(shape.positions, d)),
        "embeddings.token_type_embeddings.weight": rng.normal(size=(2, d)),
        "types.before": rng.normal(size=(2, d)),
        "pool.weight": rng.normal(size=(d, d)), "pool.bias": rng.normal(size=d),
        "out.weight": rng.normal(size=(1, d)), "out.bias": rng.normal(size=1),
    }  # fmt: skip
    norms = ["embeddings.LayerNorm"]
    for n in range(shape.layers):
        prefix = f"encoder.layer.{n}."
        norms += [prefix + "attention.output.LayerNorm", prefix + "output.LayerNorm"]
        sizes = {f"attention.self.{name}": (d, d) for name in ("query", "key", "value")}
        sizes |= {"attention.output.dense": (d, d), "intermediate.dense": (4 * d, d), "output.dense": (d, 4 * d)}
        for name, (outputs, inputs) in sizes.items():
            made[f"{prefix}{name}.weight"] = rng.normal(size=(outputs, inputs)) * inputs**-0.5
            made[f"{prefix}{name}.bias"] = rng.normal(size=outputs) * 0.1
            made[f"{prefix}{name}.down"] = rng.normal(size=(4, inputs)) * inputs**-0.5
            made[f"{prefix}{name}.up"] = rng.normal(size=(outputs, 4)) * 0.5
    for name in norms:
        made[f"{name}.weight"], made[f"{name}.bias"] = rng.normal(1, 0.1, d), rng.normal(0, 0.1, d)
    return {name: np.asarray(value, dtype=np.float32) for name, value in made.items()}


def _linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"] + x @ w[f"{name}.down"].T @ w[f"{name}.up"].T


def _norm(torch, w, name, x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-12)


def _layer(torch, w, prefix, x, mask, heads):
    q, k, v = (
        _linear(w, f"{prefix}attention.self.{name}", x).unflatten(-1, (heads, -1)).transpose(1, 2)
        for name in ("query", "key", "value")
    )
    shares = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + (mask[:, None, None] - 1) * 1e4, -1)
    y = _linear(w, f"{prefix}attention.output.dense", (shares @ v).transpose(1, 2).flatten(2))
    x = _norm(torch, w, f"{prefix}attention.output.LayerNorm", x + y)
    y = _linear(w, f"{prefix}output.dense", torch.nn.functional.gelu(_linear(w, f"{prefix}intermediate.dense", x)))
    return _norm(torch, w, f"{prefix}output.LayerNorm", x + y)
