import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.index.lexical import LexicalIndex, idf, saturate

documents = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=12)


@given(documents)
def test_postings_are_the_counts_of_each_document(docs):
    index = LexicalIndex()
    index.add(docs[:3])
    index.add(docs[3:])
    assert len(index) == len(docs)
    assert index.lengths().tolist() == [len(d) for d in docs]
    for term in "abcdef":
        posting = index.posting(term)
        found = {} if posting is None else dict(zip(posting.positions.tolist(), posting.counts.tolist(), strict=True))
        assert found == {i: c for i, d in enumerate(docs) if (c := Counter(d)[term])}


@given(documents)
def test_weights_are_those_of_bm25(docs):
    index = LexicalIndex()
    index.add(docs)
    lengths, mean = index.lengths(), float(np.mean([len(d) for d in docs])) or 1.0
    posting = index.posting("a")
    if posting is None:
        return
    found = idf(len(docs), len(posting.positions)) * saturate(posting.counts, lengths[posting.positions], mean)
    for position, weight in zip(posting.positions, found, strict=True):
        tf, df = docs[position].count("a"), sum("a" in d for d in docs)
        norm = 1.2 * (1 - 0.75 + 0.75 * len(docs[position]) / mean)
        expected = math.log(1 + (len(docs) - df + 0.5) / (df + 0.5)) * tf / (tf + norm)
        assert weight == pytest.approx(expected, rel=1e-5)
