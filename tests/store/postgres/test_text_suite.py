"""A part of the suites of text, run on Postgres. All: MNEMOS_TEST_STORE=postgres pytest tests/text tests/test_space.py."""

from __future__ import annotations

import os
import subprocess
import sys

PART = (
    "tests/text/test_erase.py", "tests/text/test_records.py", "tests/text/update/test_update.py",
    "tests/text/consolidate/test_runs.py", "tests/text/recall/test_filters.py", "tests/text/recall/test_view.py",
)  # fmt: skip


def test_a_part_of_the_suites_of_text_runs_on_postgres(postgres_server):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *PART],
        env=os.environ | {"MNEMOS_TEST_STORE": "postgres"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3_000:]
    assert " skipped" not in done.stdout
