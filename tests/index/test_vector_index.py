"""Every vector index against exact search: what is found, added, removed, saved, damaged and erased."""

import json

import numpy as np
import pytest

from mnemos.errors import IndexDamaged, InvalidInput
from mnemos.index.base import VectorIndex, unit
from mnemos.index.codes.coded import CodedIndex
from mnemos.index.codes.itq import ITQ
from mnemos.index.disk.spann import DiskIndex
from mnemos.index.hnsw import HnswIndex
from mnemos.index.mapped import MappedIndex
from mnemos.registry import satisfies

D, N, K = 32, 1_500, 10
INDEXES = {"exact": MappedIndex, "hnsw": HnswIndex, "disk": DiskIndex, "coded": CodedIndex}
LEAST = {"exact": 1.0, "hnsw": 0.95, "disk": 0.9, "coded": 0.95}  # recall@10


def clustered(count, seed=0, dimension=D):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((40, dimension))
    return unit(centres[rng.integers(0, 40, count)] + 0.6 * rng.standard_normal((count, dimension)))


VECTORS = clustered(N).astype(np.float16).astype(np.float32)
QUERIES = clustered(40, seed=1)
KEYS = np.random.default_rng(2).permutation(10 * N)[:N]


def nearest(query, k, keys=KEYS, vectors=VECTORS):
    scores = unit(vectors) @ unit(query)
    return keys[np.argsort(-scores, kind="stable")[:k]]


def recall(index, keys=KEYS, vectors=VECTORS, allowed=None):
    fit = slice(None) if allowed is None else np.isin(keys, allowed)
    found = [len(set(index.search(q, K, allowed).keys) & set(nearest(q, K, keys[fit], vectors[fit]))) for q in QUERIES]
    return np.mean(found) / K


@pytest.fixture(params=INDEXES)
def name(request):
    if request.param == "hnsw":
        pytest.importorskip("usearch", reason="HNSW needs the extra `ann`")
    return request.param


@pytest.fixture
def empty(name):
    return lambda: CodedIndex(ITQ(4).fit(VECTORS), D) if name == "coded" else INDEXES[name](D)


@pytest.fixture
def index(empty):
    made = empty()
    for start in range(0, N, 600):
        made.add(KEYS[start : start + 600], VECTORS[start : start + 600])
    return made


def test_it_satisfies_the_contract(name):
    assert satisfies(INDEXES[name], VectorIndex)


def test_it_finds_the_nearest_with_their_cosines(index, name):
    assert recall(index) >= LEAST[name]
    found = index.search(QUERIES[0] * 7, K)
    rows = dict(zip(KEYS.tolist(), unit(VECTORS), strict=True))
    assert np.abs(found.scores - [rows[key] @ QUERIES[0] for key in found.keys.tolist()]).max() < 0.02
    assert (np.diff(found.scores) <= 0).all()
    assert len(set(found.keys.tolist())) == K


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_only_allowed_keys_are_found(index, name, share):
    allowed = np.sort(KEYS[: int(share * N)])
    assert set(index.search(QUERIES[0], 25, allowed).keys.tolist()) <= set(allowed.tolist())
    assert len(index.search(QUERIES[0], 25, allowed).keys) == 25
    assert recall(index, allowed=allowed) >= LEAST[name]
    assert not len(index.search(QUERIES[0], K, np.zeros(0, np.int64)).keys)


def test_a_small_or_empty_index_returns_what_it_has(empty):
    made = empty()
    assert (len(made), len(made.keys()), len(made.search(QUERIES[0], K).keys)) == (0, 0, 0)
    made.add(KEYS[:3], VECTORS[:3])
    assert set(made.search(QUERIES[0], K).keys.tolist()) == set(KEYS[:3].tolist())
    assert made.remove(KEYS[:3]) == 3
    assert not len(made.search(QUERIES[0], K).keys)


def test_removed_keys_are_gone_and_others_are_found(index, name):
    assert index.remove(KEYS[:500]) == 500
    assert index.remove(KEYS[:500]) == 0
    assert len(index) == N - 500
    assert (index.keys() == np.sort(KEYS[500:])).all()
    assert recall(index, KEYS[500:], VECTORS[500:]) >= LEAST[name] - 0.03


def test_a_key_that_is_added_again_has_the_new_vector_only(index):
    index.add(KEYS[:1], QUERIES[:1])
    assert len(index) == N
    assert index.search(QUERIES[0], 1).keys[0] == KEYS[0]
    assert index.search(VECTORS[0], 1).keys[0] != KEYS[0]


def test_a_saved_index_is_found_again_and_changes_are_saved(index, name, tmp_path):
    index.save(tmp_path / "a")
    for _ in range(2):
        index = INDEXES[name].open(tmp_path / "a")
        before = len(index)
        keys = index.keys()
        assert recall(index, keys, rows_of(keys)) >= LEAST[name] - 0.03
        index.remove(keys[:200])
        index.save(tmp_path / "a")
        assert len(INDEXES[name].open(tmp_path / "a")) == len(index) == before - 200


def rows_of(keys):
    order = np.argsort(KEYS)
    return VECTORS[order[np.searchsorted(KEYS[order], keys)]]


def test_no_file_has_the_bytes_of_a_removed_vector(index, tmp_path):
    index.save(tmp_path)
    index.add(np.array([99_999_999]), QUERIES[:1])
    index.save(tmp_path)
    pieces = [encoded.tobytes()[:24] for encoded in traces(QUERIES[0])]
    assert any(piece in path.read_bytes() for path in written(tmp_path) for piece in pieces)
    index.remove(np.array([99_999_999]))
    index.save(tmp_path)
    assert not any(piece in path.read_bytes() for path in written(tmp_path) for piece in pieces)


def written(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def traces(vector):
    yield unit(vector).astype(np.float16)
    yield unit(vector)
    yield np.rint(unit(vector) * (127 / np.abs(unit(vector)).max())).astype(np.int8)


@pytest.mark.parametrize("how", ["cut", "flipped", "missing", "other list", "no list"])
def test_damage_is_noticed(index, name, tmp_path, how):
    index.save(tmp_path)
    path = max((p for p in written(tmp_path) if p.suffix != ".json"), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        for at in range(len(data) // 5, len(data), len(data) // 50):
            data[at] ^= 0x55
        path.write_bytes(data)
    elif how == "missing":
        path.unlink()
    elif how == "other list":
        body = json.loads((tmp_path / "index.json").read_text())
        (tmp_path / "index.json").write_text(json.dumps(body | {"generation": 7}))
    else:
        (tmp_path / "index.json").write_bytes(b"{")
    with pytest.raises(IndexDamaged, match="again"):
        recall(INDEXES[name].open(tmp_path))


def test_a_save_that_breaks_off_leaves_the_former_one(index, name, tmp_path, monkeypatch):
    index.save(tmp_path)
    index.add(np.array([77_777_777]), QUERIES[:1])
    monkeypatch.setattr("mnemos.index.files.commit", _broken)
    with pytest.raises(OSError, match="full"):
        index.save(tmp_path)
    monkeypatch.undo()
    former = INDEXES[name].open(tmp_path)
    assert len(former) == N
    index.save(tmp_path)
    assert INDEXES[name].open(tmp_path).keys()[-1] == 77_777_777


def _broken(*_):
    raise OSError("no space: the disk is full")


@pytest.mark.parametrize(
    ("keys", "vectors", "said"),
    [
        ([-1], np.ones((1, D)), "key -1 is negative"),
        ([4, 4], np.ones((2, D)), "a key is given twice"),
        ([4], np.ones((1, D + 1)), r"shape \(1, 33\)"),
        ([4, 5], np.ones((1, D)), r"shape \(2,\)"),
        ([4], np.full((1, D), np.nan), "the vector of key 4 has numbers that are not finite"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(index, keys, vectors, said):
    with pytest.raises(InvalidInput, match=said):
        index.add(np.array(keys), vectors.astype(np.float32))
    assert len(index) == N
    with pytest.raises(InvalidInput, match="shape"):
        index.search(np.ones(D + 1, np.float32), K)


def test_it_counts_the_bytes_that_it_holds(index, empty):
    assert index.nbytes > empty().nbytes
    assert index.nbytes >= N * (D + 8)
