"""Candidates from the indexes of the server: pgvector's HNSW for vectors, and GIN over the terms of Mnemos for words.

HNSW: Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using HNSW (arXiv 1603.09320), on half
floats. Neither index can be led by the space, so a large space gets its own pair (see `indexes`); a small one is read as a
whole. Filters go on through the index until enough match (`hnsw.iterative_scan`, pgvector 0.8).
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from mnemos.index.terms import FORM
from mnemos.store.candidates import Frequencies, Scored
from mnemos.store.postgres import indexes
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.rows import narrowed
from mnemos.store.postgres.words import index_rows
from mnemos.store.values import DERIVED, Filter, IndexRow

AGE = 60.0  # seconds for which counts are kept
CAPPED = (
    2_000  # versions with a term that are counted one by one: a more frequent one is in the statistics of the server
)
BUDGET = 30_000  # postings that one search reads at most, 1 us each
SAMPLE = 2_000  # versions whose lengths are measured
SPARE = 3  # times as many vectors are fetched as asked for: a long text has several
EF = 1_000  # the longest list of candidates that pgvector keeps
_LIVE = "replaced IS NULL AND state != 'archived' AND form = 'text'"
_TERMS = "string_to_array(terms, ' ')"


class IndexedCandidates:
    """Implements `Candidates`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space
        self._lock = threading.Lock()
        self._documents: dict[str, int] = {}
        self._of = Frequencies(0, {}, 1.0, 1.0)
        self._until = 0.0

    def by_terms(self, terms: Sequence[str], filter: Filter, limit: int) -> Scored:
        """Return at most `limit` matching versions that have some of the terms; see `Candidates.by_terms`.

        The rarest terms are looked up until 30,000 postings are read: of more frequent ones a version gets nothing, unless
        all are so frequent. Costs 1 us a posting.
        """
        known = self.frequencies(terms)
        rare = sorted((df, term) for term, df in known.documents.items() if df)
        if not rare or limit < 1:
            return _scored([])
        chosen, read = [rare[0]], rare[0][0]
        for df, term in rare[1:]:
            if read + df > BUDGET:
                break
            chosen.append((df, term))
            read += df
        with self._connection.read() as db:
            self._choose(db)
            where, values = narrowed(db, self._space, filter)
            one = f"(SELECT n, %s::real AS w FROM words WHERE space = %s AND {_TERMS} @> ARRAY[%s] LIMIT {BUDGET})"
            postings = " UNION ALL ".join([one] * len(chosen))
            bound = [x for df, term in chosen for x in (float(np.log1p(known.count / df)), self._space, term)]
            query = (
                f"SELECT cubes.n, w FROM (SELECT n, sum(w) AS w FROM ({postings}) AS p GROUP BY n) AS found JOIN cubes "
                f"ON cubes.space = %s AND cubes.n = found.n WHERE {_LIVE} AND {where} ORDER BY w DESC, cubes.n DESC LIMIT %s"
            )
            rows = db.execute(query, (*bound, self._space, *values, limit), prepare=False).fetchall()
        return _scored(rows)

    def by_vector(self, model: int, vector: NDArray[np.floating], filter: Filter, limit: int) -> Scored:
        """Return at most `limit` matching versions, those with the highest cosine first; approximate."""
        if limit < 1:
            return _scored([])
        wanted, size = SPARE * limit, len(vector)
        asked = HalfVector(np.asarray(vector, np.float16))
        with self._connection.read() as db:
            self._choose(db, wanted)
            where, values = narrowed(db, self._space, filter)
            near = f"vector::halfvec({size}) <=> %s::halfvec({size})"
            query = (
                f"SELECT v.n, 1 - ({near}) AS cosine FROM vectors AS v JOIN cubes ON cubes.space = v.space AND cubes.n = v.n "
                f"WHERE v.space = %s AND v.m = %s AND {_LIVE} AND {where} ORDER BY {near} LIMIT %s"
            )
            bound = (asked, self._space, model, *values, asked, wanted)
            rows = db.execute(query, bound, prepare=False).fetchall()
        best: dict[int, float] = {}
        for n, cosine in rows:
            best[n] = max(cosine, best.get(n, -2.0))
        return _scored(sorted(best.items(), key=lambda x: -x[1])[:limit])

    def _choose(self, db: Db, wanted: int = 0) -> None:
        """Tell the server how to use its indexes, for this transaction; without them it reads the rows of the space."""
        indexes.ensure(self._connection)
        db.execute(
            "SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', %s, true), "
            "set_config('jit', 'off', true)",
            (str(min(max(wanted, 40), EF)),),
        )

    def around(self, keys: Sequence[int], reach: int) -> list[int]:
        """Return these keys and those of the `reach` turns before and after each in its session, by time, sorted."""
        side = (
            "(SELECT x.n FROM cubes AS x WHERE x.space = c.space AND x.session = c.session AND x.replaced IS NULL "
            "AND x.state != 'archived' AND x.form = 'text' AND x.kind != ALL(%s) AND (x.at, x.n) {} (c.at, c.n) "
            "ORDER BY x.at {}, x.n {} LIMIT %s)"
        )
        query = (
            "SELECT DISTINCT y.n FROM cubes AS c CROSS JOIN LATERAL ("
            f"{side.format('<', 'DESC', 'DESC')} UNION ALL {side.format('>', 'ASC', 'ASC')}) AS y "
            "WHERE c.space = %s AND c.n = ANY(%s::bigint[]) AND c.session IS NOT NULL"
        )
        derived = list(DERIVED)
        with self._connection.read() as db:
            rows = db.execute(query, (derived, reach, derived, reach, self._space, list(keys)))
            return sorted({*map(int, keys), *(n for (n,) in rows)})

    def rows(self, keys: Sequence[int], model: int | None) -> list[IndexRow]:
        """Return what recall reads of these versions, in the order of keys."""
        with self._connection.read() as db:
            return index_rows(db, self._space, "cubes.n = ANY(%s::bigint[])", [list(keys)], model, closed=True)[0]

    def frequencies(self, terms: Sequence[str]) -> Frequencies:
        """Return how common terms are, at most a minute old: the frequent ones as the server's ANALYZE estimates them."""
        with self._lock, self._connection.read() as db:
            if time.monotonic() > self._until:
                shares = indexes.common_terms(db, self._space)
                self._of = self._measured(db)
                self._documents = {t: round(share * self._of.count) for t, share in shares.items()}
                self._until = time.monotonic() + AGE
            missing = [t for t in dict.fromkeys(terms) if t not in self._documents]
            if missing:
                count = (
                    f"SELECT t, (SELECT count(*) FROM (SELECT 1 FROM words WHERE space = %s AND {_TERMS} @> ARRAY[t] "
                    f"LIMIT {CAPPED}) AS x) FROM unnest(%s::text[]) AS t"
                )
                self._documents |= dict(db.execute(count, (self._space, missing), prepare=False).fetchall())
            found = {t: self._documents[t] for t in terms}
            return Frequencies(self._of.count, found, self._of.mean_length, self._of.median_length)

    def _measured(self, db: Db) -> Frequencies:
        row = db.execute(
            f"SELECT count(*), (SELECT last FROM spaces WHERE space = %s) FROM cubes WHERE space = %s AND {_LIVE}",
            (self._space, self._space),
        ).fetchone()
        count, last = row if row is not None else (0, 0)
        some = random.Random(last).sample(range(1, last + 1), min(SAMPLE, last))
        rows = db.execute(
            "SELECT terms FROM words JOIN cubes USING (space, n) WHERE space = %s AND n = ANY(%s::bigint[]) "
            "AND replaced IS NULL AND kind != ALL(%s)",
            (self._space, some, list(DERIVED)),
        ).fetchall()
        lengths = [sum(not t.startswith(FORM) for t in terms.split()) for (terms,) in rows] or [1]
        return Frequencies(count, {}, statistics.fmean(lengths), statistics.median(lengths))


def _scored(rows: Sequence[tuple[int, float]]) -> Scored:
    return Scored(np.array([n for n, _ in rows], np.int64), np.array([score for _, score in rows], np.float32))
