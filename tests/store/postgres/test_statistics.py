"""A new database is read as fast as one that the server has had time to look at."""

import numpy as np
import pytest

from mnemos.store.postgres import statistics, words
from mnemos.store.values import Entry
from tests.contracts.stores import cube
from tests.store.postgres.stores import opened


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [(0, 1, False), (126, 127, False), (127, 128, True), (128, 255, False), (200, 300, True), (0, 5000, True)],
)
def test_a_power_of_two_is_passed(before, after, passed):
    assert statistics.doubled(before, after) is passed


def test_a_new_table_has_statistics_and_what_changed_is_found_by_its_keys(postgres_server, tmp_path):
    import psycopg

    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute("CREATE DATABASE statistics STRATEGY file_copy")
    with (
        psycopg.connect(postgres_server.url("statistics"), autocommit=True) as db,
        opened(postgres_server.url("statistics"), tmp_path, "s") as (store,),
    ):
        model = store.vectors.model("m", "1", 4)

        def tell(first, count):
            numbers = range(first, first + count)
            store.insert([Entry(cube(f"c{i}", f"w{i}"), (f"w{i}",), np.ones(4, np.float16)) for i in numbers], model)

        def known():
            return db.execute("SELECT reltuples FROM pg_class WHERE oid = 'mnemos.cubes'::regclass").fetchone()[0]

        tell(0, 100)
        assert known() < 1  # an empty table, or one that the server does not know
        with store.connection.read() as own:
            for query, values in ((words._SPANS, ["s", "s"]), (words._VECTORS, ["s", model, "s"])):
                plan = own.execute("EXPLAIN " + query.format(where="cubes.seq > %s"), [*values, 90]).fetchall()
                assert "Join" not in str(plan)  # of all rows with all
        tell(100, 100)
        assert known() == 200
        seq = store.changes(0, model).seq
        tell(200, 3)
        changes = store.changes(seq, model)
        assert [row.key for row in changes.rows] == store.keys_of(["c200", "c201", "c202"])
        assert all(row.vector is not None for row in changes.rows)
