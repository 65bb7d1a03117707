"""The index on disk: clusters of like size, closure, pruning, splits, a build in chunks, and damage that is noticed late."""

import numpy as np
import pytest
from test_vector_index import QUERIES, clustered

from mnemos.errors import IndexDamaged, InvalidInput
from mnemos.index.base import VectorIndex, unit
from mnemos.index.disk.centroids import closure, grouped, nearest
from mnemos.index.disk.clusters import cluster, split
from mnemos.index.disk.spann import DiskIndex, Knobs

D, N = 32, 3_000
ROWS = clustered(N, seed=4)
KEYS = np.arange(N)
TRUTH = [np.argsort(-(ROWS @ q))[:10] for q in QUERIES]


def made(**knobs):
    index = DiskIndex(D, Knobs(**knobs))
    index.add(KEYS, ROWS)
    return index


def recall(index: VectorIndex):
    found = [np.isin(index.search(q, 10).keys, right).mean() for q, right in zip(QUERIES, TRUTH, strict=True)]
    return float(np.mean(found))


def test_prices_make_sizes_alike():
    skewed = unit(np.concatenate([ROWS[:1500], ROWS[0] + 0.3 * np.random.default_rng(0).standard_normal((1500, D))]))
    counts = [
        np.bincount(split(skewed.astype(np.float32), 8, np.random.default_rng(1), balance=balance), minlength=8)
        for balance in (True, False)
    ]
    assert counts[0].std() < 0.5 * counts[1].std()


def test_there_are_as_many_centroids_as_asked_for():
    assert abs(len(cluster(ROWS, 60, np.random.default_rng(0))) - 60) <= 6
    assert len(cluster(ROWS[:5], 60, np.random.default_rng(0))) == 5


def test_closure_takes_what_is_almost_as_near_unless_a_nearer_one_is_beside_it():
    centroids = unit(np.array([[1, 0, 0], [0.99, 0.14, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32))
    row = unit(np.array([[0.7, -0.1, 0.71]], dtype=np.float32))
    where, far = nearest(row, centroids, 4)
    taken = closure(where, far, centroids, slack=0.3, most=4)
    assert set(where[taken].tolist()) == {0, 3}  # 1 is nearly as near, and nearer to 0 than to the row
    assert closure(where, far, centroids, slack=0.3, most=1).sum() == 1
    assert closure(where, far, centroids, slack=0.0, most=4).sum() == 1


def test_groups_find_almost_all_nearest_centroids():
    centroids = clustered(4_200, seed=6)
    groups = grouped(centroids, np.random.default_rng(0))
    assert sorted(np.concatenate(groups).tolist()) == list(range(4_200))
    fast, slow = (nearest(ROWS[:300], centroids, 3, g)[0] for g in (groups, None))
    assert (fast[:, 0] == slow[:, 0]).mean() > 0.9


def test_more_lists_find_more_and_closure_helps_at_equal_lists():
    few, many = made(reach=9, most=1), made(reach=9, most=40)
    assert recall(few) < recall(many)
    assert recall(many) >= 0.9
    assert made(reach=9, most=200).lists.lengths.sum() > N == made(replicas=1).lists.lengths.sum()


def test_queries_near_a_centroid_read_fewer_lists(tmp_path):
    index = made(reach=0.3, most=64)
    index.save(tmp_path)
    read = []
    for query in (index.centroids[0], unit(np.random.default_rng(3).standard_normal(D))):
        before = index.lists.bytes_read
        index.search(query, 1)
        read.append(index.lists.bytes_read - before)
    assert 0 < read[0] < read[1]


def test_an_index_that_grew_by_splits_finds_about_what_one_made_anew_does():
    grown = DiskIndex(D)
    for start in range(0, N, 250):
        grown.add(KEYS[start : start + 250], ROWS[start : start + 250])
    assert len(grown) == N
    assert (grown.keys() == KEYS).all()
    assert grown.lists.lengths.max() <= 2 * grown.knobs.size
    assert recall(grown) >= recall(made()) - 0.05


def test_equal_vectors_do_not_split_for_ever():
    index = DiskIndex(D)
    index.add(KEYS[:100], ROWS[:100])
    index.add(KEYS[100:600], np.repeat(ROWS[:1], 500, axis=0))
    assert len(index) == 600
    assert len(set(index.search(ROWS[0], 50).keys.tolist())) == 50


def test_a_build_in_chunks_is_an_index_of_all_of_them(tmp_path):
    (tmp_path / "part-00000").write_bytes(b"of a build that broke off")
    chunks = lambda: ((KEYS[a : a + 700], ROWS[a : a + 700]) for a in range(0, N, 700))  # noqa: E731
    index = DiskIndex.build(tmp_path, D, chunks, N, Knobs())
    assert (len(index), index.top) == (N, N - 1)
    assert (index.keys() == KEYS).all()
    assert recall(index) >= recall(made()) - 0.03
    assert not list(tmp_path.glob("part-*"))
    index.add(np.array([N]), QUERIES[:1])
    index.save(tmp_path)
    assert DiskIndex.open(tmp_path).search(QUERIES[0], 1).keys[0] == N


def test_a_save_writes_only_the_segments_that_changed(tmp_path, monkeypatch):
    monkeypatch.setattr("mnemos.index.disk.saving.SEGMENT", 400)
    index = made()
    index.save(tmp_path)
    whole, files = index.written, {path.name for path in tmp_path.glob("*codes.npy")}
    assert len(files) > 4
    index.remove(KEYS[:1])
    index.save(tmp_path)
    assert 0 < index.written < whole / 2
    assert len(files & {path.name for path in tmp_path.glob("*codes.npy")}) >= len(files) / 2


def test_a_byte_that_changed_in_a_list_is_noticed_when_the_list_is_read(tmp_path):
    made().save(tmp_path)
    path = next(tmp_path.glob("*codes.npy"))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    index = DiskIndex.open(tmp_path)
    with pytest.raises(IndexDamaged, match="list .* was changed or damaged: make the index again"):
        [index.lists.read(number) for number in range(len(index.lists))]


def test_knobs_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput, match="sizes and counts are 1 or more"):
        Knobs(size=0)
