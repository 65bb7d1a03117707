"""The conditions of a filter on the table `cubes`, the same in every SQL store. All values are bound, none is formatted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mnemos.store.values import DERIVED, Filter

FIRST, LAST = -(2**63), 2**63 - 1  # of all times, in microseconds


def conditions(filter: Filter, mark: str, has_date: str) -> tuple[list[str], list[Any]]:
    """Return the conditions of a filter, all but those of metadata, and their values.

    `mark` is the placeholder of a value; `has_date` tells, with a condition in its `{}`, whether a cube mentions such a date.
    """
    clauses: list[str] = []
    values: list[Any] = []
    if filter.kind is None and not filter.derived and filter.state is not None:
        clauses.append(f"kind NOT IN ({', '.join(mark for _ in DERIVED)})")
        values += DERIVED
    if filter.superseded and filter.state == "active":
        clauses.append("state IN ('active', 'superseded')")
        filter = replace(filter, state=None)
    for column in ("session", "speaker", "role", "kind", "source", "state"):
        wanted = getattr(filter, column)
        if wanted is not None:
            clauses.append(f"{column} = {mark}")
            values.append(wanted)
    if filter.as_of is None:
        clauses.append("replaced IS NULL")
    else:
        clauses.append(f"learned <= {mark} AND (replaced IS NULL OR replaced > {mark})")
        values += [filter.as_of] * 2
    if filter.true_at is not None:
        begun = f"(valid_from IS NULL AND {has_date.format(f'start <= {mark}')})"
        clauses.append(f"(coalesce(valid_from, at) <= {mark} OR {begun}) AND (valid_to IS NULL OR valid_to > {mark})")
        values += [filter.true_at] * 3
    if filter.since is not None or filter.until is not None:
        since = FIRST if filter.since is None else filter.since
        until = LAST if filter.until is None else filter.until
        clauses.append(f"(at >= {mark} AND at < {mark})")
        values += [since, until]
        if filter.mentioned:
            clauses[-1] = f"({clauses[-1]} OR {has_date.format(f'start < {mark} AND stop > {mark}')})"
            values += [until, since]
    return clauses, values
